# A packet that the device will cut is not to be made fragments.
/^  if (netif.*mtu.*p->tot_len > .*) {/s/) {\(\r*\)$/ \&\& !LWIP_HOOK_IS_CUT_LATER(p)) {\1/
