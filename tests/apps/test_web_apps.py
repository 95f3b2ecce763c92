# SPDX-License-Identifier: MIT
"""Applications as people write them: Express with its node_modules, Flask from Debian's packages, PHP's server, a jar."""
import json
import subprocess
import urllib.request

import pytest
from conftest import need
from packages import npm_application

EXPRESS = """const express = require('express');
const app = express();
app.use(express.json());
app.use('/static', express.static(__dirname + '/public'));
app.get('/', (request, response) => response.send('Hello from Express'));
app.get('/users/:id', (request, response) => response.json({ id: Number(request.params.id), query: request.query }));
app.post('/sum', (request, response) => response.json({ sum: request.body.reduce((a, b) => a + b) }));
app.get('/fail', () => { throw new Error('as it should'); });
app.listen(8080, () => console.log('listening'));
"""
FLASK = """from flask import Flask, jsonify, render_template, request

app = Flask(__name__)

@app.route("/")
def index():
    return render_template("page.html", name=request.args.get("name", "nobody"))

@app.route("/users/<int:number>")
def user(number):
    return jsonify(id=number, query=request.args)

@app.route("/sum", methods=["POST"])
def total():
    return jsonify(sum=sum(request.json))

if __name__ == "__main__":
    app.run("0.0.0.0", 8080)
"""
PHP = """<?php
header('Content-Type: application/json');
echo json_encode(['sum' => array_sum(json_decode(file_get_contents('php://input') ?: '[]')), 'query' => $_GET]);
"""
JAVA = """import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.Arrays;

public class Main {
    public static void main(String[] args) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/", exchange -> {
            String text = new String(exchange.getRequestBody().readAllBytes()).replaceAll("[^0-9,]", "");
            int sum = text.isEmpty() ? 0 : Arrays.stream(text.split(",")).mapToInt(Integer::parseInt).sum();
            byte[] answer = ("{\\"sum\\": " + sum + "}").getBytes();
            exchange.sendResponseHeaders(200, answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.start();
    }
}
"""


def post(vm, path, value):
    request = urllib.request.Request(f"http://127.0.0.1:{vm.port}{path}", json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response)


def test_express(machine, tmp_path):
    need("node")
    app = npm_application(tmp_path / "app", "express@4.21.2")
    (app / "public").mkdir()
    (app / "public/style.css").write_text("body {}\n")
    (app / "app.js").write_text(EXPRESS)
    vm = machine(str(app / "app.js"), guest_port=8080)
    assert vm.wait_for_http() == (200, b"Hello from Express")
    assert json.loads(vm.get("/users/7?a=b")[1]) == {"id": 7, "query": {"a": "b"}}
    assert post(vm, "/sum", list(range(1000))) == {"sum": 499500}
    assert vm.get("/static/style.css") == (200, b"body {}\n")
    assert vm.get("/static/../app.js")[0] == 404 and vm.get("/absent")[0] == 404
    status, text = vm.get("/fail")
    assert status == 500 and b"as it should" in text and vm.get("/")[0] == 200


def test_flask(machine, tmp_path):
    """The app alone is named; of Debian's modules, which may be too many, Flask and what it imports come along."""
    pytest.importorskip("flask")
    (tmp_path / "app/templates").mkdir(parents=True)
    (tmp_path / "app/templates/page.html").write_text("<p>Hello, {{ name }}</p>")
    (tmp_path / "app/app.py").write_text(FLASK)
    vm = machine(str(tmp_path / "app/app.py"), guest_port=8080)
    assert vm.wait_for_http("/?name=%3Cyou%3E") == (200, b"<p>Hello, &lt;you&gt;</p>")
    assert json.loads(vm.get("/users/7?a=b")[1]) == {"id": 7, "query": {"a": "b"}}
    assert post(vm, "/sum", list(range(1000))) == {"sum": 499500}
    assert vm.get("/users/x")[0] == 404


def test_php(machine, tmp_path):
    """PHP's own server, with workers that it forks."""
    need("php")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.php").write_text(PHP)
    vm = machine("php", "-S", "0.0.0.0:8080", "-t", "/site", guest_port=8080, options=["-e", "PHP_CLI_SERVER_WORKERS=2", "--add",
                                                                                        f"{tmp_path}/site:/site"])
    assert json.loads(vm.wait_for_http("/?a=b")[1]) == {"sum": 0, "query": {"a": "b"}}
    assert post(vm, "/index.php", list(range(1000)))["sum"] == 499500


def test_java(machine, tmp_path):
    """A jar that serves, by its name alone."""
    (tmp_path / "Main.java").write_text(JAVA)
    subprocess.run([need("javac"), "Main.java"], cwd=tmp_path, check=True)
    subprocess.run([need("jar"), "cfe", "web.jar", "Main", "Main.class"], cwd=tmp_path, check=True)
    vm = machine(str(tmp_path / "web.jar"), guest_port=8080, timeout=200)
    assert vm.wait_for_http()[1] == b'{"sum": 0}'
    assert post(vm, "/", list(range(1000))) == {"sum": 499500}
