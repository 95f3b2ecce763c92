# SPDX-License-Identifier: MIT
"""An npm registry on this machine: npm_registry.py PORT NAME VERSION FOLDER serves one package of a folder's files."""
import base64
import hashlib
import http.server
import io
import json
import os
import sys
import tarfile


class Registry:
    """The documents and archives of some packages, as a registry serves them."""

    def __init__(self):
        self.documents, self.archives, self.spoiled = {}, {}, set()

    def add(self, name, version, files, **more):
        buffer = io.BytesIO()
        files = {"package.json": json.dumps({"name": name, "version": version, **more}), **files}
        with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
            for path, data in files.items():
                info = tarfile.TarInfo(f"package/{path}")
                data = data if isinstance(data, bytes) else data.encode()
                info.size, info.mode = len(data), 0o755
                tar.addfile(info, io.BytesIO(data))
        archive = f"/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        self.archives[archive] = buffer.getvalue()
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(buffer.getvalue()).digest()).decode()
        document = self.documents.setdefault(f"/{name}", {"name": name, "dist-tags": {}, "versions": {}})
        document["dist-tags"]["latest"] = version
        document["versions"][version] = {"name": name, "version": version, "dist": {"integrity": integrity, "tarball": archive}, **more}

    def answer(self, path, base):
        path = path.replace("%2f", "/").replace("%2F", "/")
        if path in self.archives:
            return b"spoiled" + self.archives[path] if path in self.spoiled else self.archives[path]
        if path not in self.documents:
            return None
        document = json.loads(json.dumps(self.documents[path]))
        for version in document["versions"].values():
            version["dist"]["tarball"] = base + version["dist"]["tarball"]
        return json.dumps(document).encode()

    def server(self, port=0):
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                data = registry.answer(self.path, f"http://127.0.0.1:{self.server.server_port}")
                self.send_response(200 if data else 404)
                self.send_header("Content-Length", str(len(data or b"{}")))
                self.end_headers()
                self.wfile.write(data or b"{}")

            def log_message(self, *_):
                pass

        return http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)


def settings(port, folder):
    """npm's environment: this registry, and nothing of the user's."""
    return {"npm_config_registry": f"http://127.0.0.1:{port}/", "npm_config_cache": f"{folder}/npm", "npm_config_userconfig": f"{folder}/npmrc",
            "npm_config_fetch_retries": "0", "npm_config_offline": "false"}


def files_of(folder):
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb") as file:
                yield os.path.relpath(file.name, folder), file.read()


if __name__ == "__main__":
    made = Registry()
    made.add(sys.argv[2], sys.argv[3], {path: data for path, data in files_of(sys.argv[4]) if path != "package.json"})
    with made.server(int(sys.argv[1])) as serving:
        print("ready", flush=True)
        serving.serve_forever()
