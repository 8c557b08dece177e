-- A million packets of 64 bytes on their way for a second, without a clock and without an interface: in
-- less than 150 MiB. Exit code 1 when it is not so.
engine.setup { virtual_time = true, packets = 4096 }
local c = config.new()
config.app(c, "source", Source, { size = 64 })
config.app(c, "pacer", Pacer, { pps = 1000000, catch_up = "1s" })
config.app(c, "wan", Clumsy, { owd = "1s" })
config.app(c, "sink", Sink)
config.chain(c, "source", "pacer", "wan", "sink")
engine.configure(c)
engine.main { duration = "1100ms", no_report = true }
local counters, resident = engine.app("wan").counters, 0
for line in io.lines("/proc/self/status") do resident = tonumber(line:match("^VmHWM:%s*(%d+)")) or resident end
print(("held %d, delivered %d, lost for want of memory %d, resident %.0f MiB"):format(
   counters.held, counters.delivered, counters.drop_memory, resident / 1024))
io.stdout:flush()
os.exit(counters.held == 1000000 and counters.delivered == 100000 and counters.drop_memory == 0 and
        (resident < 150 * 1024 or os.getenv("BUILD") == "build/sanitize") and 0 or 1, true)
