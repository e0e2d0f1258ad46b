"""AWS as the gateway sees it: Lambda, STS, and where machines and containers get their keys. Every signature is verified with
AWS's own code (botocore). Called with a port, and for TLS with the files of a certificate and its key; prints what it was asked."""

import datetime
import hmac
import json
import ssl
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

# Keys by id: secret and session token. Those with a token are given out below.
KEYS = {
    "AKIDFIXED": ("fixed/secret+key", None),
    "ASIAROLE": ("role secret", "role token=="),
    "ASIAPOD": ("pod secret", "pod token"),
    "ASIAMACHINE": ("machine secret", "machine token"),
    "ASIACONTAINER": ("container secret", "container token"),
}
SKEW_SECONDS = 300
LIFE_SECONDS = 3600


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def problem_of_signature(method, url, headers, body, service):
    """None, or what is wrong with the Authorization header."""
    try:
        scheme, rest = headers["authorization"].split(" ", 1)
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        key_id, day, region, signed_service, end = parts["Credential"].split("/")
        time = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%S%z")
    except (KeyError, ValueError) as error:
        return f"IncompleteSignature: {error!r}"
    if (scheme, end, signed_service) != ("AWS4-HMAC-SHA256", "aws4_request", service) or key_id not in KEYS:
        return "UnrecognizedClientException"
    if abs((now() - time).total_seconds()) > SKEW_SECONDS or not headers["x-amz-date"].startswith(day):
        return "SignatureDoesNotMatch: time"
    secret, token = KEYS[key_id]
    if headers.get("x-amz-security-token") != token:
        return "InvalidClientTokenId"
    signed = {name: headers[name] for name in parts["SignedHeaders"].split(";")}
    for needed in ("host", "x-amz-date", *(("x-amz-security-token",) if token else ())):
        if needed not in signed:
            return f"{needed} is not signed"
    request = AWSRequest(method=method, url=url, headers=signed, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(key_id, secret, token), service, region)
    wanted = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return None if hmac.compare_digest(wanted, parts["Signature"]) else "SignatureDoesNotMatch"


def told_keys(key_id):
    secret, token = KEYS[key_id]
    expires = (now() + datetime.timedelta(seconds=LIFE_SECONDS)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"AccessKeyId": key_id, "SecretAccessKey": secret, "Token": token, "Expiration": expires}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def do_PUT(self):
        self.answer()

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path, _, query = self.path.partition("?")
        print(f"asked {self.command} {self.path} {headers.get('authorization', '-')[:40]}", flush=True)
        if path.startswith("/2015-03-31/functions/"):
            self.invoke(path, query, headers, body)
        elif path == "/sts":
            self.assume(headers, body)
        elif path.startswith("/latest/"):
            self.machine(path, headers)
        elif path == "/container" and headers.get("authorization") == "let me":
            self.say(200, json.dumps(told_keys("ASIACONTAINER")))
        else:
            self.say(404, "not here")

    def invoke(self, path, query, headers, body):
        url = f"{'https' if server_is_tls else 'http'}://{headers['host']}{self.path}"
        problem = problem_of_signature("POST", url, headers, body, "lambda")
        if problem:
            return self.refuse(403, problem)
        name = urllib.parse.unquote(path.split("/")[3])
        kind = headers["x-amz-invocation-type"]
        shown = {"X-Amz-Executed-Version": urllib.parse.parse_qs(query).get("Qualifier", ["$LATEST"])[0]}
        if name == "missing":
            return self.refuse(404, "ResourceNotFoundException", "Function not found")
        if kind == "Event":
            return self.say(202, "", shown)
        if kind == "DryRun":
            return self.say(204, "", shown)
        if name == "unhandled":
            return self.say(200, '{"errorMessage":"broken","stack":[]}', {**shown, "X-Amz-Function-Error": "Unhandled"})
        if name == "say":
            # Says what it is told to.
            return self.say(200, json.loads(body)["request_body"], shown)
        return self.say(200, body, {**shown, "X-Function": name, "X-Log-Type": headers["x-amz-log-type"]})

    def assume(self, headers, body):
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if form.get("Action") == "AssumeRoleWithWebIdentity":
            problem = None if form["WebIdentityToken"] == "token of the pod" else "InvalidIdentityToken"
            key_id = "ASIAPOD"
        else:
            url = f"{'https' if server_is_tls else 'http'}://{headers['host']}{self.path}"
            problem = problem_of_signature("POST", url, headers, body, "sts")
            key_id = "ASIAROLE"
        if problem is None and (form["RoleArn"], form["Version"]) != ("arn:aws:iam::1:role/r", "2011-06-15"):
            problem = "AccessDenied"
        if problem:
            return self.say(403, f"<ErrorResponse><Error><Code>{problem}</Code></Error></ErrorResponse>")
        keys = told_keys(key_id)
        self.say(
            200,
            f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
            <AssumedRoleUser><Arn>{form['RoleArn']}/{form['RoleSessionName']}</Arn></AssumedRoleUser><Credentials>
            <AccessKeyId>{keys['AccessKeyId']}</AccessKeyId><SecretAccessKey>{keys['SecretAccessKey']}</SecretAccessKey>
            <SessionToken>{keys['Token']}</SessionToken><Expiration>{keys['Expiration']}</Expiration>
            </Credentials></AssumeRoleResult></AssumeRoleResponse>""",
        )

    def machine(self, path, headers):
        if path == "/latest/api/token" and self.command == "PUT":
            return self.say(200, f"token for {headers['x-aws-ec2-metadata-token-ttl-seconds']}")
        if headers.get("x-aws-ec2-metadata-token") not in (None, "token for 21600"):
            return self.say(401, "")
        if path.endswith("/security-credentials/"):
            return self.say(200, "role of the machine\n")
        if path.endswith("/role%20of%20the%20machine"):
            return self.say(200, json.dumps(told_keys("ASIAMACHINE")))
        self.say(404, "")

    def refuse(self, status, kind, message="The request signature we calculated does not match"):
        self.say(status, json.dumps({"message": message}), {"X-Amzn-ErrorType": kind})

    def say(self, status, body, headers=None):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if status != 204:
            self.wfile.write(data)


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server_is_tls = len(sys.argv) > 2
if server_is_tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print("listens", flush=True)
server.serve_forever()
