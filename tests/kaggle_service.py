"""A small server on loopback that plays Kaggle for the official client: it takes what is sent, and says it has run."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USER, TOKEN = "somebody", "a-token"


class Service:
    """What was sent, and how the service answers.

    Attributes
    ----------
    datasets : dict
        Reference to the requests that created it and its versions.
    uploads : dict
        Token to the bytes.
    kernels : dict
        Reference to the requests that saved it.
    statuses : dict
        Kernel to what it answers one after the other; ``RUNNING``, ``COMPLETE`` unless set.
    failures, outputs, refused : dict
        Kernel to its failure message, its output files, and the data that it does not know.
    faults : list of int
        HTTP statuses for the next looks at a kernel.
    order : list of str
        What was sent, in its order.
    address : str
        Where it listens.
    """

    def __init__(self, address):
        self.address = address
        self.datasets, self.uploads, self.kernels = {}, {}, {}
        self.statuses, self.failures, self.outputs, self.refused = {}, {}, {}, {}
        self.order, self.faults = [], []
        self._left = {}

    def answer(self, name, request):
        """The answer to one call of the client's: JSON, or an HTTP status."""
        return getattr(self, f"_{name}", lambda request: 404)(request)

    def _IntrospectToken(self, request):
        return {"active": request["token"] == TOKEN, "username": USER}

    def _GetDatasetStatus(self, request):
        reference = f"{request['ownerSlug']}/{request['datasetSlug']}"
        return {"status": "READY"} if reference in self.datasets else 404

    def _GetDataset(self, request):
        reference = f"{request['ownerSlug']}/{request['datasetSlug']}"
        return {"currentVersionNumber": len(self.datasets[reference])} if reference in self.datasets else 403

    def _StartBlobUpload(self, request):
        token = f"blob{len(self.uploads)}-{request['name']}"
        self.uploads[token] = b""
        return {"token": token, "createUrl": f"{self.address}/upload/{token}"}

    def _CreateDataset(self, request):
        return self._take(f"{request['ownerSlug']}/{request['slug']}", request)

    def _CreateDatasetVersion(self, request):
        return self._take(f"{request['ownerSlug']}/{request['datasetSlug']}", request)

    def _take(self, reference, request):
        self.datasets.setdefault(reference, []).append(request)
        self.order.append(reference)
        return {"status": "ok", "ref": reference, "url": f"https://example.org/{reference}"}

    def _SaveKernel(self, request):
        reference = request["slug"]
        self.kernels.setdefault(reference, []).append(request)
        self.order.append(reference)
        self._left[reference] = list(self.statuses.get(reference, ["QUEUED", "RUNNING", "COMPLETE"]))
        return {
            "ref": reference, "url": f"https://example.org/{reference}", "versionNumber": len(self.kernels[reference]),
            **self.refused.get(reference, {}),
        }

    def _GetKernelSessionStatus(self, request):
        reference = f"{request['userName']}/{request['kernelSlug']}"
        if self.faults or reference not in self._left:
            return self.faults.pop(0) if self.faults else 403
        left = self._left[reference]
        status = left.pop(0) if len(left) > 1 else left[0]
        return {"status": status, "failureMessage": self.failures.get(reference) if status == "ERROR" else None}

    def _ListKernelSessionOutput(self, request):
        reference = f"{request['userName']}/{request['kernelSlug']}"
        files = self.outputs.get(reference, {})
        url = f"{self.address}/output/{reference}/"
        return {"files": [{"url": url + name, "fileName": name} for name in files], "log": "[]"}

    def _GetKernel(self, request):
        reference = f"{request['userName']}/{request['kernelSlug']}"
        if reference not in self.kernels:
            return 404
        blob = {"language": "python", "kernelType": "notebook", "slug": request["kernelSlug"]}
        return {"blob": {**blob, "source": self.kernels[reference][-1]["text"]}, "metadata": {}}


@contextmanager
def serving():
    """Answer on loopback as long as the block lasts; gives the `Service`."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._send(401, {"code": 401, "message": "Unauthenticated"})
            answer = service.answer(self.path.rsplit("/", 1)[-1], body)
            if isinstance(answer, int):
                return self._send(answer, {"code": answer, "message": "Not found"})
            self._send(200, answer)

        def do_PUT(self):
            size = self.headers.get("Content-Length")
            service.uploads[self.path.rsplit("/", 1)[-1]] = self.rfile.read(int(size)) if size else self._chunks()
            self._send(200, {})

        def do_GET(self):
            _, _, owner, slug, name = self.path.split("/", 4)
            self._send(200, service.outputs[f"{owner}/{slug}"][name])

        def _chunks(self):
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content

        def _send(self, status, content):
            is_json = not isinstance(content, bytes)
            content = json.dumps(content).encode() if is_json else content
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if is_json else "application/octet-stream")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service = Service(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield service
        server.shutdown()
