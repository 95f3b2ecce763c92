# SPDX-License-Identifier: MIT
# What bash adds to jobs.sh, which reads this file.
(sleep 0.1; exit 11) & (sleep 5; exit 12) & slow=$!
wait -n; echo "wait -n $?"; kill $slow; wait $slow; echo "$?"
(sleep 0.1; exit 21) & (sleep 1; exit 22) & wait -n -p which; echo "wait -n -p $? ${which:+named}"; wait
sleep 100 & disown; kill $!; list
coproc { read -r line; echo "co $line"; }
echo process >&"${COPROC[1]}"; read -r answer <&"${COPROC[0]}"; echo "$answer"; wait
diff <(seq 3) <(seq 4) | tail -n 1
