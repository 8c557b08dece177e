-- lab_doctor: what this machine can promise to a lab. Returns a function: an exit code.
local function doctor ()
   local facts = require "config.facts"
   local function line (good, name, value, advice)
      print(("%-5s %-28s %s"):format(good and "ok" or "hint", name, value))
      if not good and advice then print("      " .. advice) end
   end
   local function knob (sysctl, bad, advice)
      local value = facts.sysctl(sysctl)
      if value then line(value ~= bad, sysctl, value, advice) end
   end
   knob("user.max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000")
   knob("user.max_net_namespaces", "0", "sysctl user.max_net_namespaces=10000")
   knob("kernel.unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1")
   knob("kernel.apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0")
   line(facts.capabilities().sys_nice, "real-time waking", facts.capabilities().sys_nice and "yes" or "no",
        "delays are kept within 10 ms instead of 0.5 ms (99 of 100): root, or setcap cap_sys_nice")
   local cpus = #facts.cpus(facts.read("/sys/devices/system/cpu/online"))
   line(cpus > 1, "CPUs", cpus, "COMMAND and the network share one")
   local good, made = pcall(lab.new, { hosts = { "a", "b" } })
   line(good, "a lab", good and "can be made" or tostring(made))
   if good then
      local process, problem = made:spawn("a", { "true" })
      line(process and process:wait(5) == 0, "a program in it", process and "runs" or problem)
      made:close()
   end
   return good and 0 or 7
end

return doctor
