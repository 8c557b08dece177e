-- vanguard doctor: what an interface and its machine can do, what slows them down, and the cure.
local facts = require "config.facts"

local program = {
   doc = "what an interface can do, and what to change",
   args = "IFACE",
   help = "Looks at IFACE and at the machine: driver, XDP, queues, rings, coalescing, offloads, interrupts, memory, " ..
          "kernel, privileges. Changes nothing.\vok: as it should be. hint: could be better. warn: will cost packets " ..
          "or time. What `vanguard tune` can change is marked.",
   options = { { name = "json", type = "flag", doc = "as JSON" } },
}

local VIRTUAL = { veth = true, tun = true, virtio_net = true, bridge = true, ifb = true }

local checks

local function note (area, state, name, value, advice)
   checks[#checks + 1] = { area = area, state = state, name = name, value = value, advice = advice }
end

local function check (good, area, name, value, advice, bad)
   note(area, good and "ok" or bad or "hint", name, value, not good and advice or nil)
end

local function yes (flag) return flag and "yes" or "no" end
local function on (flag) return flag and "on" or "off" end

local function look_at_link (i)
   check(i.up and i.carrier, "link", "state", (i.up and "up" or "down") .. (i.carrier and "" or ", no carrier"),
         i.up and "nothing is connected: check the cable, or the peer" or ("ip link set " .. i.name .. " up"), "warn")
   note("link", "ok", "speed", i.speed and ("%d Mbit/s, %s duplex"):format(i.speed, i.full_duplex and "full" or "half") or "unknown")
   local most = i.xdp and i.xdp.rx_sg and "XdpSocket: frags = true" or "XdpSocket needs MTU 1774 or less, or larger chunks"
   check(i.mtu <= 1774, "link", "MTU", i.mtu, "a frame does not fit a packet of 2 KiB; RawSocket: jumbo = true, " .. most)
   local missed = facts.number("/sys/class/net/" .. i.name .. "/statistics/rx_missed_errors") or 0
   local dropped = facts.number("/sys/class/net/" .. i.name .. "/statistics/rx_dropped") or 0
   check(missed + dropped == 0, "link", "lost so far", ("%d missed, %d dropped"):format(missed, dropped),
         "the device or the kernel was too slow: larger rings, more queues")
end

local function look_at_xdp (i)
   local x = i.xdp
   if not x then
      note("XDP", "hint", "native", "unknown", "the kernel does not tell (before 6.3): try attach = \"native\"")
      return
   end
   check(x.basic, "XDP", "native", yes(x.basic), "only behind the driver (generic): RawSocket is as fast there")
   check(x.redirect and x.xmit, "XDP", "redirect, transmit", yes(x.redirect) .. ", " .. yes(x.xmit),
         VIRTUAL[i.driver] and "frames redirected into a " .. i.driver .. " get lost unless its far end has XDP or GRO" or
         "no forwarding within the kernel", "hint")
   check(x.zerocopy, "XDP", "zero-copy", yes(x.zerocopy), "AF_XDP copies: good for about 1 Mpps a core")
   check(x.rx_sg, "XDP", "frames in pieces", yes(x.rx_sg), "no jumbo frames natively")
end

local function look_at_queues (i)
   local q = i.queues
   if q and q.rx > 0 then
      check(q.rx_max <= 1 or q.rx > 1, "queues", "receive queues", ("%d of %d"):format(q.rx, q.rx_max),
            "one core per queue is possible: ethtool -L, XdpSocket queue = ...")
   end
   local r = i.rings
   if r and r.rx_max > 0 then
      check(r.rx >= r.rx_max / 2, "queues", "receive ring", ("%d of %d"):format(r.rx, r.rx_max),
            "bursts are lost: vanguard tune")
      check(r.tx >= r.tx_max / 4, "queues", "send ring", ("%d of %d"):format(r.tx, r.tx_max), "vanguard tune")
   else
      note("queues", "ok", "rings", "the driver has none to set")
   end
   local c = i.coalesce
   if c then
      check(not c.adaptive_rx, "queues", "adaptive coalescing", on(c.adaptive_rx), "latency varies: vanguard tune")
      note("queues", "ok", "coalescing", ("rx-usecs %d, rx-frames %d"):format(c.rx_usecs, c.rx_frames))
   end
end

local function look_at_offloads (i)
   local o = i.offloads
   check(not o.lro, "offloads", "lro", on(o.lro), "merges what was separate: vanguard tune", "warn")
   check(not o.gro, "offloads", "gro", on(o.gro),
         "a RawSocket sees merged frames; offload = \"gso\" or split copes, fewer bytes copied without: vanguard tune")
   check(not o.rxvlan, "offloads", "rxvlan", on(o.rxvlan), "an XdpSocket never sees the tag that was taken out: vanguard tune")
   if i.driver == "veth" then
      note("offloads", "hint", "the peer's tx", "unknown from here",
           "when on, frames come with open checksums: XdpSocket completes them, other AF_XDP programs lose TCP")
   end
end

local function look_at_irqs (i)
   if #i.irqs == 0 then
      note("interrupts", "ok", "interrupts", "none: a virtual device, or polled")
      return
   end
   local used, distinct = {}, 0
   for _, irq in ipairs(i.irqs) do
      for _, cpu in ipairs(facts.cpus(irq.cpus)) do
         if not used[cpu] then used[cpu], distinct = true, distinct + 1 end
      end
   end
   check(#i.irqs <= 1 or distinct > 1, "interrupts", "affinity", ("%d interrupts on %d CPUs"):format(#i.irqs, distinct),
         "all queues interrupt one CPU: vanguard tune")
   local defer = facts.number("/sys/class/net/" .. i.name .. "/napi_defer_hard_irqs") or 0
   check(true, "interrupts", "napi_defer_hard_irqs", defer)
end

local function look_at_machine ()
   local huge, free = facts.meminfo("HugePages_Total") or 0, facts.meminfo("HugePages_Free") or 0
   check(free >= 16, "machine", "huge pages of 2 MiB", ("%d, %d free"):format(huge, free),
         "sysctl vm.nr_hugepages=64: fewer TLB misses in packet memory")
   local governor = facts.read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
   check(not governor or governor == "performance", "machine", "CPU governor", governor or "none (a virtual machine?)",
         "the clock slows down between packets: performance")
   local clock = facts.read("/sys/devices/system/clocksource/clocksource0/current_clocksource") or "unknown"
   check(clock == "tsc" or clock == "kvm-clock" or clock == "arch_sys_counter", "machine", "clock source", clock,
         "reading the clock is a system call", "warn")
   local isolated = facts.read("/sys/devices/system/cpu/isolated") or ""
   note("machine", "ok", "CPUs online, isolated", (facts.read("/sys/devices/system/cpu/online") or "?") .. ", " ..
        (isolated ~= "" and isolated or "none"))
   local runtime = facts.sysctl("kernel.sched_rt_runtime_us")
   note("machine", "ok", "real-time share", runtime == "-1" and "unlimited" or
        ("%s us of %s"):format(runtime or "?", facts.sysctl("kernel.sched_rt_period_us") or "?"))
end

local function look_at_kernel ()
   note("kernel", "ok", "release", facts.sysctl("kernel.osrelease") or "?")
   check(facts.sysctl("net.core.bpf_jit_enable") ~= "0", "kernel", "BPF compiler", on(facts.sysctl("net.core.bpf_jit_enable") ~= "0"),
         "XDP programs are interpreted: sysctl net.core.bpf_jit_enable=1", "warn")
   local btf = io.open("/sys/kernel/btf/vmlinux")
   if btf then btf:close() end
   check(btf, "kernel", "BTF", yes(btf), "no CONFIG_DEBUG_INFO_BTF")
   local bpffs = facts.mounted("bpf")
   check(bpffs, "kernel", "bpffs", bpffs or "not mounted", "only pinned maps need it: mount -t bpf bpf /sys/fs/bpf")
   local sockets = interface.probe()
   for _, kind in ipairs { "packet", "xdp", "tun" } do
      local names = { packet = "AF_PACKET (RawSocket)", xdp = "AF_XDP (XdpSocket)", tun = "tun and tap (Tap)" }
      check(sockets[kind] == "", "kernel", names[kind], sockets[kind] == "" and "yes" or sockets[kind],
            "missing in this kernel, or not permitted", "warn")
   end
end

local function look_at_privileges ()
   local has = facts.capabilities()
   local uses = { { "net_raw", "packet sockets" }, { "net_admin", "XDP, offloads, tune" }, { "bpf", "XDP" },
                  { "ipc_lock", "packet memory for AF_XDP beyond ulimit -l" }, { "sys_nice", "real-time waking" } }
   for _, use in ipairs(uses) do
      check(has[use[1]], "privileges", "cap_" .. use[1], yes(has[use[1]]), "wanted for " .. use[2] .. ": root, or setcap")
   end
end

local COLOURS = { ok = "32", hint = "33", warn = "31" }

local function print_checks (i)
   local colour = process.tty(1)
   print(("%s: %s, %s, %s"):format(i.name, i.driver ~= "" and i.driver or "no driver", i.mac, i.up and "up" or "down"))
   local area
   for _, c in ipairs(checks) do
      if c.area ~= area then print(c.area) end
      area = c.area
      local mark = ("%-4s"):format(c.state)
      if colour then mark = ("\27[%sm%s\27[0m"):format(COLOURS[c.state], mark) end
      print(("  %s  %-24s %s"):format(mark, c.name, c.value))
      if c.advice then print("        " .. c.advice) end
   end
end

function program.run (options, arguments)
   if #arguments ~= 1 then
      io.stderr:write("vanguard doctor: which interface? (vanguard help doctor)\n")
      return 2
   end
   local i = interface.query(arguments[1])
   checks = {}
   look_at_link(i)
   look_at_xdp(i)
   look_at_queues(i)
   look_at_offloads(i)
   look_at_irqs(i)
   look_at_machine()
   look_at_kernel()
   look_at_privileges()
   if options.json then
      print(json.encode { interface = i, checks = checks })
   else
      print_checks(i)
   end
   return 0
end

return program
