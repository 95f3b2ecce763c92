// SPDX-License-Identifier: MIT
// child_process in all its forms: what it prints on Linux is what it must be.
const cp = require('child_process');
const fs = require('fs');
const net = require('net');
const { once } = require('events');

if (process.argv[2] === 'child') {
  process.on('message', (m, handle) => {
    if (m === 'server') handle.on('connection', (s) => s.end(`served by child ${process.pid !== process.ppid}`));
    else if (m === 'stop') process.disconnect();
    else process.send({ echo: m, connected: process.connected });
  });
  process.on('SIGUSR2', () => process.send('usr2'));
  process.send('ready');
  return;
}

const shell = (script, options) => cp.spawn('/bin/sh', ['-c', script], options);
const text = async (stream) => { let all = ''; for await (const part of stream) all += part; return all; };
const closed = async (child) => once(child, 'close');

async function pipes() {
  const child = shell('cat; echo err >&2; echo more >&3; read -r line <&4; echo "$line"; exit 7',
    { stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'] });
  child.stdin.end('y'.repeat(300000));
  child.stdio[4].end('four\n');
  const [out, err, three, [code, signal]] = await Promise.all(
    [text(child.stdout), text(child.stderr), text(child.stdio[3]), closed(child)]);
  console.log('pipes', out.length, out.slice(-6).trim(), err.trim(), three.trim(), code, signal);
  const file = `${fs.mkdtempSync('/tmp/node-')}/out`;
  const fd = fs.openSync(file, 'w+');
  console.log(await closed(shell('echo to a file; echo and this >&2', { stdio: ['ignore', fd, fd] })));
  console.log(fs.readFileSync(file, 'utf8').trim().split('\n'));
  fs.rmSync(file);
  const first = shell('seq 1 50000');
  const second = cp.spawn('/usr/bin/wc', ['-l']);
  first.stdout.pipe(second.stdin);
  console.log('piped', (await text(second.stdout)).trim());
}

async function ends() {
  const child = shell('trap "exit 5" TERM; echo up; while :; do sleep 0.01; done');
  await once(child.stdout, 'data');
  console.log('kill', child.kill());
  console.log(await closed(child), child.killed);
  for (const signal of ['SIGKILL', 'SIGINT', 'SIGABRT']) {
    const victim = cp.spawn('/bin/sleep', ['60']);
    await once(victim, 'spawn');
    victim.kill(signal);
    console.log(await closed(victim));
  }
  const controller = new AbortController();
  const aborted = cp.spawn('/bin/sleep', ['60'], { signal: controller.signal });
  const error = once(aborted, 'error').catch((e) => e);
  const failure = new Promise((done) => aborted.on('error', (e) => done(e.name)));
  controller.abort();
  console.log(await failure, await closed(aborted), (await error) !== undefined);
  const missing = cp.spawn('/no/such');
  console.log((await once(missing, 'error'))[0].code);
  try { cp.execFileSync('/bin/sh', ['-c', 'echo bad >&2; exit 4'], { stdio: 'pipe' }); } catch (e) {
    console.log(e.status, e.stderr.toString().trim());
  }
  console.log(cp.spawnSync('/bin/sleep', ['60'], { timeout: 100 }).error.code);
  const limited = await new Promise((done) => cp.exec('yes', { maxBuffer: 1000 }, (e, out) => done([e.code, out.length])));
  console.log(limited);
  console.log(await new Promise((done) => cp.exec('echo $NAME; pwd', { env: { NAME: 'n' }, cwd: '/usr' }, (e, out) => done(out))));
}

async function detached() {
  const child = shell('read -r stat </proc/$$/stat; set -- $stat; [ $$ = $5 ] && [ $$ = $6 ] && echo leader; sleep 60',
    { detached: true });
  console.log((await once(child.stdout, 'data'))[0].toString().trim());
  process.kill(-child.pid, 'SIGTERM');
  console.log(await closed(child));
  const other = cp.spawn('/bin/sleep', ['0.2'], { detached: true, stdio: 'ignore' });
  other.unref();
  const asNobody = cp.spawnSync('/usr/bin/id', ['-u'], { uid: 65534, gid: 65534 });
  console.log('uid', asNobody.stdout.toString().trim());
}

async function fork() {
  const child = cp.fork(__filename, ['child'], { serialization: 'advanced' });
  await once(child, 'message');
  for (const message of [1, 'text', { deep: [1, { a: null }] }, new Map([[1, new Uint8Array([1, 2])]]), 'z'.repeat(200000)]) {
    child.send(message);
    const [{ echo, connected }] = await once(child, 'message');
    console.log(echo.length > 99 ? echo.length : echo, connected);
  }
  child.kill('SIGUSR2');
  console.log(await once(child, 'message').then((m) => m[0]));
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = server.address().port;
  child.send('server', server);
  server.close();
  console.log(await text(net.connect(port, '127.0.0.1')));
  child.send('stop');
  await once(child, 'disconnect');
  child.kill();
  console.log(await once(child, 'exit'));
}

async function many() {
  const runs = Array.from({ length: 60 }, (_, n) => new Promise((done) =>
    cp.execFile('/bin/echo', [String(n)], (e, out) => done(Number(out)))));
  console.log('many', (await Promise.all(runs)).reduce((a, b) => a + b));
  for (let n = 0; n < 20; n++) cp.spawnSync('/bin/true');
  console.log('sync', cp.execSync('echo $((2 * 21))').toString().trim());
}

(async () => {
  for (const part of [pipes, ends, detached, fork, many]) { console.log(`-- ${part.name}`); await part(); }
})();
