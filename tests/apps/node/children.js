// SPDX-License-Identifier: MIT
// child_process: spawn with pipes, exec by a shell, fork with messages.
const { execFileSync, fork, spawn, spawnSync } = require('child_process');

if (process.argv[2] === 'child') {
  process.on('message', (m) => { process.send(m * 2); process.disconnect(); });
  return;
}
console.log(execFileSync('/bin/echo', ['from', 'echo']).toString().trim());
const shell = spawnSync('/bin/sh', ['-c', 'echo out; echo err >&2; exit 3']);
console.log(shell.status, shell.stdout.toString().trim(), shell.stderr.toString().trim());
const cat = spawn('/bin/cat');
let text = '';
cat.stdout.on('data', (data) => { text += data; });
cat.on('close', (code) => {
  console.log('cat', code, text.length);
  const child = fork(__filename, ['child']);
  child.on('message', (m) => console.log('fork', m));
  child.on('exit', (status) => console.log('child', status));
  child.send(21);
});
cat.stdin.end('c'.repeat(200000));
