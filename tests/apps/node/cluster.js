// SPDX-License-Identifier: MIT
// Workers of cluster serve one port; one that dies is replaced.  Then threads that share memory.
const cluster = require('cluster');
const http = require('http');
const { Worker, isMainThread, workerData, parentPort, MessageChannel, receiveMessageOnPort } = require('worker_threads');

const get = (port, path) => new Promise((done, fail) => http.get({ port, path, agent: false }, (response) => {
  let body = '';
  response.on('data', (part) => { body += part; });
  response.on('end', () => done(body));
}).on('error', fail));

function serve() {
  http.createServer((request, response) => {
    if (request.url === '/die') process.exit(9);
    if (request.url === '/crash') process.kill(process.pid, 'SIGKILL');
    response.end(`worker ${cluster.worker.id}`);
  }).listen(0, '127.0.0.1');
}

async function clusterPart(policy) {
  cluster.schedulingPolicy = policy;
  let port;
  const ready = () => new Promise((done) => cluster.once('listening', (worker, address) => { port = address.port; done(); }));
  for (let n = 0; n < 3; n++) { cluster.fork(); await ready(); }
  const seen = new Set();
  for (let n = 0; n < 60; n++) seen.add(await get(port, '/'));
  console.log('workers', policy === cluster.SCHED_RR ? [...seen].map((s) => s.slice(0, 6)) : seen.size >= 1);
  for (const path of ['/die', '/crash']) {
    const end = new Promise((done) => cluster.once('exit', (worker, code, signal) => done([code, signal])));
    const replaced = new Promise((done) => cluster.once('exit', () => { cluster.fork(); ready().then(done); }));
    await get(port, path).catch((error) => console.log(path, error.code));
    console.log(await end);
    await replaced;
    const answers = await Promise.all(Array.from({ length: 30 }, () => get(port, '/')));
    console.log(answers.every((text) => text.startsWith('worker ')), Object.keys(cluster.workers).length);
  }
  const gone = new Promise((done) => cluster.disconnect(done));
  await gone;
  console.log('disconnected', Object.keys(cluster.workers).length);
}

const THREADS = 4;
const ROUNDS = 20000;

function thread() {
  const cells = new Int32Array(workerData.memory);
  for (let n = 0; n < ROUNDS; n++) {
    Atomics.add(cells, 0, 1);
    while (Atomics.compareExchange(cells, 1, 0, 1) !== 0) Atomics.wait(cells, 1, 1, 10);
    cells[2]++;
    Atomics.store(cells, 1, 0);
    Atomics.notify(cells, 1, 1);
  }
  const first = Atomics.wait(cells, 3, 0);
  parentPort.postMessage([cells[0] >= ROUNDS, first === 'ok' || first === 'not-equal', workerData.id]);
}

async function threadsPart() {
  const memory = new SharedArrayBuffer(64);
  const cells = new Int32Array(memory);
  const workers = Array.from({ length: THREADS }, (_, id) => new Worker(__filename, { workerData: { memory, id } }));
  const results = workers.map((worker) => new Promise((done) => worker.once('message', done)));
  while (Atomics.load(cells, 0) < THREADS * ROUNDS) await new Promise((done) => setTimeout(done, 5));
  Atomics.store(cells, 3, 1);
  Atomics.notify(cells, 3);
  console.log((await Promise.all(results)).map((r) => r.join()).join(' '), cells[0], cells[2]);
  console.log(Atomics.wait(cells, 4, 0, 20), Atomics.wait(cells, 4, 1));
  const { port1, port2 } = new MessageChannel();
  const buffer = new ArrayBuffer(1 << 20);
  port1.postMessage(buffer, [buffer]);
  console.log(buffer.byteLength, receiveMessageOnPort(port2).message.byteLength);
  port1.close();
  const failing = new Worker('throw new Error("in a thread")', { eval: true });
  console.log(await new Promise((done) => failing.once('error', (error) => done(error.message))));
  const endless = new Worker('for (;;);', { eval: true });
  await new Promise((done) => endless.once('online', done));
  console.log('terminated', await endless.terminate());
  const exiting = new Worker('process.exit(3)', { eval: true });
  console.log('exit', await new Promise((done) => exiting.once('exit', done)));
  const small = new Worker('const a = []; for (;;) a.push(new Array(1000).fill(0));',
    { eval: true, resourceLimits: { maxOldGenerationSizeMb: 10 } });
  console.log(await new Promise((done) => small.once('error', (error) => done(error.code))));
}

if (!isMainThread) thread();
else if (!cluster.isPrimary) serve();
else if (process.argv[2] === 'threads') threadsPart();
else clusterPart(process.argv[2] === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR);
