-- syn-drop: connections that begin late.
return {
   doc = "every other SYN is lost: connections that take a second to begin",
   source = "RFC 6298: who hears nothing of a SYN sends it again after 1 s",
   down = {},
   up = { drop = { syn = true, every = 2 } },
   notes = "every other one is ours",
}
