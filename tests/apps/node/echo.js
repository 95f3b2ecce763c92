// SPDX-License-Identifier: MIT
// A server with a long connection in the manner of a WebSocket: an upgrade, then frames both ways.
const crypto = require('crypto');
const http = require('http');

const server = http.createServer((request, response) => {
  if (request.method === 'POST') {
    const hash = crypto.createHash('md5');
    request.on('data', (data) => hash.update(data));
    request.on('end', () => response.end(hash.digest('hex')));
    return;
  }
  response.end('x'.repeat(Number(request.url.slice(1)) || 5));
});
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
  const timer = setInterval(() => socket.write('tick\n'), 100);
  socket.on('data', (data) => socket.write(data));
  socket.on('close', () => clearInterval(timer));
  socket.on('error', () => {});
});
server.listen(8080, () => console.log('ready'));
