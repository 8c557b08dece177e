-- slow-dns: a good network whose names are slow.
return {
   doc = "a good network, but answers to DNS queries are late",
   source = "a kind of network that Apple's Network Link Conditioner has (\"High Latency DNS\"); resolvers wait 5 s (resolv.conf(5))",
   down = { match = "udp src port 53 or tcp src port 53", owd = "2s" },
   up = {},
   notes = "the 2 s are ours",
}
