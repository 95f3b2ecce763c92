// SPDX-License-Identifier: MIT
// A server that also tells the memory that the system has left, in KiB.
const fs = require('fs');
const http = require('http');

http.createServer((request, response) => {
  if (request.url === '/free') {
    if (global.gc) global.gc();
    const text = fs.readFileSync('/proc/meminfo', 'utf8');
    response.end(/MemAvailable:\s+(\d+)/.exec(text)[1]);
    return;
  }
  response.end('Hello from Unikernel!\n');
}).listen(8080);
