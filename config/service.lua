-- service: who started a program hears how it is (sd_notify(3)): systemd, or nobody.
--
--   service.begin()        it is ready; and breathes, which is said twice in each time that the watchdog waits
--   service.status(text)   how it is, in a line
--   service.stop()         it ends
local service = {}

function service.begin ()
   if not process.notify("READY=1") then return end
   local patience = tonumber(os.getenv("WATCHDOG_USEC"))
   if patience and patience > 0 then timer.every(patience / 2e6, function () process.notify("WATCHDOG=1") end) end
end

function service.status (text) process.notify("STATUS=" .. text:gsub("\n", " ")) end

function service.stop () process.notify("STOPPING=1") end

return service
