# A packet that the device will cut is not to be made fragments.
/^  if (netif.*mtu.*p->tot_len > .*) {/s/) {\(\r*\)$/ \&\& !LWIP_HOOK_IS_CUT_LATER(p)) {\1/
# Raw sockets are asked only where there are some.
s/^\( *raw_status = \)raw_input(p, inp);/\1LWIP_HOOK_RAW_INPUT(p, inp);/
