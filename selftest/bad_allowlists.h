/* bad_allowlists: files of VxlanNat's allowlist that must be refused, and what the message says. */
#pragma once

static const struct {
    const char *text, *complaint;
} bad_allowlists[] = {
    { "", "expected" },
    { "{", "expected" },
    { "[]", "no JSON object" },
    { "\"192.0.2.1\"", "" },
    { "{}", "no entries" },
    { "{\"flat_ip_list\": []}", "no entries" },
    { "{\"flat_ip_list\": null}", "flat_ip_list is no list" },
    { "{\"flat_ip_list\": \"192.0.2.1\"}", "flat_ip_list is no list" },
    { "{\"flat_ip_list\": {\"a\": \"192.0.2.1\"}}", "flat_ip_list is no list" },
    { "{\"flat_ip_list\": [1]}", "flat_ip_list[1]: \"what is no text\"" },
    { "{\"flat_ip_list\": [null]}", "flat_ip_list[1]" },
    { "{\"flat_ip_list\": [\"\"]}", "flat_ip_list[1]: \"\"" },
    { "{\"flat_ip_list\": [\"192.0.2.1\", \"192.0.2\"]}", "flat_ip_list[2]" },
    { "{\"flat_ip_list\": [\"192.0.2.01\"]}", "192.0.2.01" },
    { "{\"flat_ip_list\": [\"192.0.2.256\"]}", "192.0.2.256" },
    { "{\"flat_ip_list\": [\"192.0.2.0/33\"]}", "192.0.2.0/33" },
    { "{\"flat_ip_list\": [\"192.0.2.0/-1\"]}", "192.0.2.0/-1" },
    { "{\"flat_ip_list\": [\"192.0.2.0/\"]}", "192.0.2.0/" },
    { "{\"flat_ip_list\": [\"192.0.2.1/24\"]}", "bits behind" },
    { "{\"flat_ip_list\": [\"2001:db8::1/32\"]}", "bits behind" },
    { "{\"flat_ip_list\": [\"2001:db8::/129\"]}", "2001:db8::/129" },
    { "{\"flat_ip_list\": [\"2001:db8:::1\"]}", "2001:db8:::1" },
    { "{\"flat_ip_list\": [\"192.0.2.1 \"]}", "192.0.2.1 " },
    { "{\"flat_ip_list\": [\"example.org\"]}", "example.org" },
    { "{\"flat_ip_list\": [\"192.0.2.1\\u0000x\"]}", "" },
    { "{\"flat_ip_list\": [\"192.0.2.1\"],}", "" },
    { "{\"flat_ip_list\": [\"192.0.2.1\"]} x", "end of file" },
    { "{\"flat_ip_list\": [\"192.0.2.1\"], \"flat_ip_list\": []}", "duplicate" },
    { "{\"total_ips\": \"3\", \"flat_ip_list\": [\"192.0.2.1\"]}", "total_ips" },
    { "{\"total_ips\": 1.5, \"flat_ip_list\": [\"192.0.2.1\"]}", "total_ips" },
    { "{\"total_ips\": 99999999999999999999, \"flat_ip_list\": [\"192.0.2.1\"]}", "" },
    { "{\"organizations\": {}}", "organizations is no list" },
    { "{\"organizations\": [1]}", "organizations[1]" },
    { "{\"organizations\": [{}]}", "organizations[1] has no name" },
    { "{\"organizations\": [{\"name\": 1}]}", "organizations[1] has no name" },
    { "{\"organizations\": [{\"name\": \"a\", \"enabled\": 1}]}", "enabled" },
    { "{\"organizations\": [{\"name\": \"a\", \"ips\": 1}]}", "organizations[1].ips" },
    { "{\"organizations\": [{\"name\": \"a\"}, {\"name\": \"b\", \"cidrs\": [\"::/0\", 1]}]}",
      "organizations[2].cidrs[2]" },
    { "\xef\xbb\xbf{\"flat_ip_list\": [\"192.0.2.1\"]}", "" }, /* a byte order mark */
    { "{\"flat_ip_list\": [\"\xff\"]}", "" },                  /* no UTF-8 */
    { "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "deeper than 16" },
};

#define BAD_ALLOWLISTS (sizeof(bad_allowlists) / sizeof(*bad_allowlists))
