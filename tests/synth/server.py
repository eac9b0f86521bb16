"""A tiny server of OpenAI's chat API that misbehaves on demand; tests talk to it over real sockets."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Each request takes the next word of `script`; when that is empty, it is answered by `reply(body)`, a text or a
    whole message."""

    daemon_threads = True

    def __init__(self, reply=lambda body: "fine"):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply, self.script, self.requests, self.keys = reply, [], [], []
        self.guard, self.running, self.most = threading.Lock(), 0, 0

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A client that has gone away is no news."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        server, body = self.server, json.loads(self.rfile.read(int(self.headers["content-length"])))
        with server.guard:
            server.requests.append(body)
            server.keys.append(self.headers["authorization"])
            act = server.script.pop(0) if server.script else "answer"
            server.running += 1
            server.most = max(server.most, server.running)
        try:
            self.act(act, body)
        finally:
            with server.guard:
                server.running -= 1

    def act(self, act, body):
        if act == "answer" or act.startswith("finish:"):
            finish = act.partition(":")[2] or "stop"
            said = self.server.reply(body)
            message = {"role": "assistant", **(said if isinstance(said, dict) else {"content": said})}
            choice = {"index": 0, "finish_reason": finish, "message": message}
            self.send(200, json.dumps({"id": "1", "object": "chat.completion", "model": "m-1", "choices": [choice]}).encode())
        elif act.startswith("status:"):
            _, status, *after = act.split(":")
            headers = {"retry-after": after[0]} if after else {}
            message = f"refused {self.headers['authorization']}"
            self.send(int(status), json.dumps({"error": {"message": message}}).encode(), headers)
        elif act == "hang":
            time.sleep(1.5)
        elif act == "drop":
            self.close_connection = True
        elif act == "cut":
            self.send(200, b'{"id": "1", "choices": [{"mess', {"content-length": "500"})
        elif act.startswith("body:"):
            self.send(200, act.removeprefix("body:").encode())

    def send(self, status, content, headers=()):
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(content)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True
