"""A small server on loopback that stands in for Kaggle: it accepts what the official client sends, and runs nothing."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USER, TOKEN = "somebody", "a-token"


class Service:
    """What was sent, and how the service answers. A reference is ``owner/name`` of a dataset or a kernel.

    Attributes
    ----------
    address : str
        Where it listens.
    datasets, kernels : dict
        Reference to the requests that created it and its versions.
    uploads : dict
        Token to the bytes.
    statuses : dict
        Kernel to the statuses of each version that is sent; ``QUEUED``, ``RUNNING``, ``COMPLETE`` unless set.
    remaining : dict
        Kernel to the statuses that its newest version has not reported yet; the last one is repeated.
    failures, outputs, refused : dict
        Kernel to its failure message, its output files, and the data that Kaggle does not know.
    order : list of str
        References in the order in which they were sent.
    faults : list of int
        HTTP statuses for the next requests of a kernel's status.
    """

    def __init__(self, address):
        self.address = address
        self.datasets, self.kernels, self.uploads = {}, {}, {}
        self.statuses, self.remaining, self.failures, self.outputs, self.refused = {}, {}, {}, {}, {}
        self.order, self.faults = [], []

    def answer(self, call, request):
        """The answer to a call of the client: JSON, or an HTTP status."""
        keys = ("ownerSlug", "userName", "slug", "datasetSlug", "kernelSlug")
        reference = "/".join(request[key] for key in keys if key in request)
        return getattr(self, f"_{call}", lambda *_: 404)(reference, request)

    def _IntrospectToken(self, _, request):
        return {"active": request["token"] == TOKEN, "username": USER}

    def _GetDatasetStatus(self, reference, _):
        return {"status": "READY"} if reference in self.datasets else 404

    def _GetDataset(self, reference, _):
        return {"currentVersionNumber": len(self.datasets[reference])} if reference in self.datasets else 403

    def _StartBlobUpload(self, _, request):
        token = f"blob{len(self.uploads)}-{request['name']}"
        return {"token": token, "createUrl": f"{self.address}/upload/{token}"}

    def _CreateDataset(self, reference, request):
        return self._save(self.datasets, reference, request)

    _CreateDatasetVersion = _CreateDataset

    def _SaveKernel(self, reference, request):
        self.remaining[reference] = [*self.statuses.get(reference, ["QUEUED", "RUNNING", "COMPLETE"])]
        return self._save(self.kernels, reference, request) | self.refused.get(reference, {})

    def _save(self, versions, reference, request):
        versions.setdefault(reference, []).append(request)
        self.order.append(reference)
        return {"status": "ok", "ref": reference, "url": f"https://example.org/{reference}"}

    def _GetKernelSessionStatus(self, reference, _):
        if self.faults or reference not in self.remaining:
            return self.faults.pop(0) if self.faults else 403
        remaining = self.remaining[reference]
        status = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        return {"status": status, "failureMessage": self.failures.get(reference) if status == "ERROR" else None}

    def _ListKernelSessionOutput(self, reference, _):
        url = f"{self.address}/output/{reference}/"
        return {"files": [{"url": url + name, "fileName": name} for name in self.outputs[reference]], "log": "[]"}

    def _GetKernel(self, reference, request):
        blob = {"language": "python", "kernelType": "notebook", "slug": request["kernelSlug"]}
        return {"blob": {**blob, "source": self.kernels[reference][-1]["text"]}, "metadata": {}}


@contextmanager
def serving():
    """Answer on loopback as long as the block lasts; gives the `Service`."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self._content() or "{}")
            is_known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            answer = service.answer(self.path.rsplit("/", 1)[-1], request) if is_known else 401
            status, answer = (answer, {"code": answer}) if isinstance(answer, int) else (200, answer)
            self._send(json.dumps(answer).encode(), status, "application/json")

        def do_PUT(self):
            service.uploads[self.path.rsplit("/", 1)[-1]] = self._content()
            self._send(b"{}", content_type="application/json")

        def do_GET(self):
            _, _, owner, slug, name = self.path.split("/", 4)
            self._send(service.outputs[f"{owner}/{slug}"][name])

        def _content(self):
            return self.rfile.read(int(self.headers["Content-Length"]))

        def _send(self, content, status=200, content_type="application/octet-stream"):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
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
