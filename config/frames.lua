-- frames: bytes of Ethernet frames, to be sent.
--
--   frames.from_hex("02 00 .. 88b5"), frames.to_hex(bytes)
--   frames.ethernet{ src =, dst =, vlan =, size = }              EtherType 0x88b5 (IEEE 802), then zeros
--   frames.udp("10.0.0.1:1024-10.0.0.2:53", ethernet, i)         source port + i; IPv4 or [IPv6]:port
--
-- What is wrong with the text is an error that names it. Formats: RFC 768, 791, 8200.
local frames = {}

local function fail (text, wanted) error(('"%s" is not %s'):format(text, wanted), 0) end

function frames.from_hex (text)
   local digits = text:gsub("[%s:]", ""):gsub("^0x", "")
   if #digits % 2 == 1 or digits:find("[^%x]") or #digits < 28 then
      fail(text, "a frame of at least 14 bytes in hexadecimal")
   end
   return (digits:gsub("%x%x", function (byte) return string.char(tonumber(byte, 16)) end))
end

function frames.to_hex (bytes)
   return (bytes:gsub(".", function (byte) return ("%02x"):format(byte:byte()) end))
end

local function mac (text)
   local bytes = { text:match("^(%x%x?):(%x%x?):(%x%x?):(%x%x?):(%x%x?):(%x%x?)$") }
   if #bytes ~= 6 then fail(text, "a MAC address") end
   for i, byte in ipairs(bytes) do bytes[i] = tonumber(byte, 16) end
   return string.char(table.unpack(bytes))
end

local function header (e, ethertype)
   local tag = e.vlan and string.pack(">I2I2", 0x8100, e.vlan) or ""
   return mac(e.dst) .. mac(e.src) .. tag .. string.pack(">I2", ethertype)
end

local function pad (frame, size) return frame .. ("\0"):rep(size - #frame) end

function frames.ethernet (e) return pad(header(e, 0x88b5), e.size) end

local function address4 (text)
   local bytes = { text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
   if #bytes ~= 4 then return nil end
   for i, byte in ipairs(bytes) do
      bytes[i] = tonumber(byte)
      if bytes[i] > 255 then return nil end
   end
   return string.char(table.unpack(bytes))
end

local function groups (text)
   local list = {}
   if text == "" then return list end
   for group in (text .. ":"):gmatch("([^:]*):") do
      if not group:match("^%x%x?%x?%x?$") then return nil end
      list[#list + 1] = tonumber(group, 16)
   end
   return list
end

local function address6 (text)
   local head, tail = text:match("^(.-)::(.*)$")
   local before, behind = groups(head or text), groups(tail or "")
   if not before or not behind then return nil end
   local gap = 8 - #before - #behind
   if head and gap < 1 or not head and gap ~= 0 then return nil end
   local bytes = {}
   for _, group in ipairs(before) do bytes[#bytes + 1] = string.pack(">I2", group) end
   bytes[#bytes + 1] = ("\0\0"):rep(gap)
   for _, group in ipairs(behind) do bytes[#bytes + 1] = string.pack(">I2", group) end
   return table.concat(bytes)
end

-- "10.0.0.1:53" or "[2001:db8::1]:53": the address's bytes and the port.
local function endpoint (text)
   local inside, port = text:match("^%[(.*)%]:(%d+)$")
   local bytes = inside and address6(inside)
   if not inside then
      inside, port = text:match("^(.*):(%d+)$")
      bytes = inside and address4(inside)
   end
   port = tonumber(port)
   if not bytes or port > 65535 then fail(text, "ADDRESS:PORT or [ADDRESS]:PORT") end
   return bytes, port
end

local function checksum (bytes)
   local sum = 0
   if #bytes % 2 == 1 then bytes = bytes .. "\0" end
   for i = 1, #bytes, 2 do sum = sum + string.unpack(">I2", bytes, i) end
   while sum > 0xffff do sum = (sum & 0xffff) + (sum >> 16) end
   return ~sum & 0xffff
end

local function ip_header (from, to, length)
   if #from == 16 then return string.pack(">I4I2I1I1", 6 << 28, length, 17, 64) .. from .. to end
   local start = string.pack(">I1I1I2I2I2I1I1", 0x45, 0, 20 + length, 0, 0, 64, 17)
   return start .. string.pack(">I2", checksum(start .. from .. to)) .. from .. to
end

function frames.udp (text, e, i)
   local first, second = text:match("^(%S+)%-(%S+)$")
   if not first then fail(text, "FROM-TO, such as 10.0.0.1:1024-10.0.0.2:53") end
   local from, from_port = endpoint(first)
   local to, to_port = endpoint(second)
   if #from ~= #to then fail(text, "from and to the same kind of address") end
   local version6 = #from == 16
   local link = header(e, version6 and 0x86dd or 0x0800)
   local payload = ("\0"):rep(math.max(0, e.size - #link - (version6 and 48 or 28)))
   local length = 8 + #payload
   local start = string.pack(">I2I2I2", (from_port + i) & 0xffff, to_port, length)
   local sum = checksum(from .. to .. string.pack(">I4I4", 17, length) .. start .. "\0\0" .. payload)
   if sum == 0 then sum = 0xffff end
   return link .. ip_header(from, to, length) .. start .. string.pack(">I2", sum) .. payload
end

return frames
