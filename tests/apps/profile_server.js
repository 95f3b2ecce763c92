'use strict';
// Answers after some arithmetic in a function that V8 compiles, with a body that takes writes of many segments.
const http = require('http');

function hotArithmetic(n) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum = (sum * 31 + i) % 1000003;
    return sum;
}

const body = Buffer.alloc(300000, 'x');
http.createServer((request, response) => {
    response.setHeader('X-Sum', String(hotArithmetic(300000)));
    response.end(body);
}).listen(8080, () => console.log('ready'));
