-- traffic: writes a capture of UDP datagrams, all different.
--
--     vanguard run traffic.lua COUNT FILE [SIZE [GAP_US]]
--
-- The format of the file is libpcap's, with nanoseconds; nothing of Vanguard takes part.
local count, path, size, gap = tonumber(arg[1]), arg[2], tonumber(arg[3] or 120), tonumber(arg[4] or 100)
local SECOND, START = 1000000000, 1700000000123456789

local function sum (bytes)
   local n = 0
   for i = 1, #bytes, 2 do n = n + string.unpack(">I2", bytes, i) end
   while n > 0xffff do n = (n & 0xffff) + (n >> 16) end
   return ~n & 0xffff
end

local function datagram (i)
   local payload = string.pack(">I8I8", i, i * 0x9e3779b97f4a7c15) .. ("v"):rep(size - 58)
   local udp = string.pack(">I2I2I2I2", 1000, 2000, 8 + #payload, 0)
   local start = string.pack(">I1I1I2I2I2I1I1", 0x45, 0, 28 + #payload, i & 0xffff, 0, 64, 17)
   local addresses = "\10\0\0\1\10\0\0\2"
   local ip = start .. string.pack(">I2", sum(start .. addresses)) .. addresses
   return "\2\0\0\0\0\2\2\0\0\0\0\1\8\0" .. ip .. udp .. payload
end

local file = assert(io.open(path, "wb"))
file:write(string.pack("<I4I2I2I4I4I4I4", 0xa1b23c4d, 2, 4, 0, 0, 262144, 1))
for i = 0, count - 1 do
   local frame, time = datagram(i), START + i * gap * 1000
   file:write(string.pack("<I4I4I4I4", time // SECOND, time % SECOND, #frame, #frame), frame)
end
file:close()
engine.configure(config.new())
engine.main { duration = "1ms", no_report = true }
