// SPDX-License-Identifier: MIT
// What Node programs use, printed: the output on Linux is what it must be.
const assert = require('assert');
const crypto = require('crypto');
const dns = require('dns');
const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

if (!isMainThread) {
  let sum = 0;
  for (let i = 0; i < 1e6; i++) sum += i % workerData;
  parentPort.postMessage(sum);
  return;
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function files() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'stout-'));
  const file = path.join(dir, 'a.txt');
  fs.writeFileSync(file, 'x'.repeat(100000));
  fs.appendFileSync(file, 'end');
  console.log('size', fs.statSync(file).size, fs.readFileSync(file, 'utf8').slice(-4));
  fs.renameSync(file, file + '2');
  await fs.promises.copyFile(file + '2', file);
  console.log('files', (await fs.promises.readdir(dir)).sort().join());
  let bytes = 0;
  for await (const chunk of fs.createReadStream(file)) bytes += chunk.length;
  console.log('streamed', bytes);
  const changes = new Promise((done) => {
    const watcher = fs.watch(dir, (event, name) => { watcher.close(); done(name); });
  });
  setTimeout(() => fs.writeFileSync(path.join(dir, 'new'), ''), 20);
  console.log('watched', await changes);
  for (const name of fs.readdirSync(dir)) fs.unlinkSync(path.join(dir, name));
  fs.rmdirSync(dir);
  try { fs.readFileSync('/no/such/file'); } catch (error) { console.log(error.code); }
}

async function timers() {
  const start = process.hrtime.bigint();
  await pause(50);
  const took = Number(process.hrtime.bigint() - start) / 1e6;
  assert(took >= 49 && took < 2000, `setTimeout took ${took}`);
  let ticks = 0;
  await new Promise((done) => {
    const id = setInterval(() => { if (++ticks === 5) { clearInterval(id); done(); } }, 5);
  });
  await new Promise((done) => setImmediate(done));
  console.log('ticks', ticks, 'year ok', new Date().getFullYear() >= 2024);
}

async function computing() {
  console.log(crypto.createHash('sha256').update('stout').digest('hex'));
  console.log('random', crypto.randomBytes(32).length);
  const key = await new Promise((done, fail) => crypto.pbkdf2('p', 's', 1000, 32, 'sha512',
    (error, value) => error ? fail(error) : done(value)));
  console.log(key.toString('hex'));
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signature = crypto.createSign('sha256').update('m').sign(privateKey);
  console.log('verified', crypto.createVerify('sha256').update('m').verify(publicKey, signature));
  const packed = zlib.gzipSync('z'.repeat(1e6));
  console.log('zlib', packed.length < 5000, zlib.gunzipSync(packed).length);
  console.log('brotli', zlib.brotliDecompressSync(zlib.brotliCompressSync(Buffer.from('b'.repeat(1000)))).length);
  console.log('regexp', 'a1b22'.replace(/\d+/g, '#'), 'math', Math.sin(1).toFixed(12), 2n ** 100n);
}

async function workers() {
  const results = await Promise.all([7, 11, 13].map((n) => new Promise((done, fail) => {
    const worker = new Worker(__filename, { workerData: n });
    worker.on('message', done);
    worker.on('error', fail);
  })));
  console.log('workers', results.join());
}

async function names() {
  const address = await new Promise((done, fail) => dns.lookup('localhost', 4,
    (error, value) => error ? fail(error) : done(value)));
  console.log('localhost', address);
  console.log('loopback', (os.networkInterfaces().lo || []).some((i) => i.address === '127.0.0.1'));
}

async function memory() {
  let kept = [];
  for (let i = 0; i < 60; i++) {
    kept.push(new Array(20000).fill(i));
    if (kept.length > 10) kept = kept.slice(5);
  }
  const buffers = [];
  for (let i = 0; i < 20; i++) buffers.push(Buffer.alloc(1 << 20, i));
  console.log('buffers', buffers.reduce((sum, b) => sum + b[12345], 0), kept.length);
  console.log('wasm', new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)) instanceof WebAssembly.Module);
}

(async () => {
  await files();
  await timers();
  await computing();
  await workers();
  await names();
  await memory();
  process.on('SIGUSR2', () => { console.log('signal'); process.exit(0); });
  process.on('exit', () => console.log('exit handler'));
  process.kill(process.pid, 'SIGUSR2');
  setTimeout(() => process.exit(9), 5000);
})();
