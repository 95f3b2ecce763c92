const http = require('http');

const port = 8083;
http.createServer((request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/plain' });
  response.end('Hello from Unikernel!\n');
}).listen(port, () => console.log(`Server running on port ${port}`));
