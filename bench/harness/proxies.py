"""Who is compared, and how each is set up: transaction pooling, 20 server connections, as quiet as it
can be, the rest as it comes."""
import base64
import hashlib
import hmac
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

USER, PASSWORD, POOL = 'bench', 'secret', 20


def verifier():
    salt, iterations = b'0123456789abcdef', 4096
    salted = hashlib.pbkdf2_hmac('sha256', PASSWORD.encode(), salt, iterations)

    def mac(text):
        return hmac.new(salted, text, 'sha256').digest()

    def text(raw):
        return base64.b64encode(raw).decode()

    stored = hashlib.sha256(mac(b'Client Key')).digest()
    return f"SCRAM-SHA-256${iterations}:{text(salt)}${text(stored)}:{text(mac(b'Server Key'))}"


@dataclass(frozen=True)
class Proxy:
    name: str
    program: Path
    kind: str
    version: str
    can: frozenset

    def start(self, place, server, work, core):
        port = place.port()
        folder = place.own_folder(self.kind)
        command, user = getattr(self, '_' + self.kind)(place, folder, port, server, work)
        if user and os.getuid() == 0:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, user)
        return place.start(command, port, core, user), port

    def _relay(self, place, folder, port, server, work):
        return [self.program, port, server], None

    def _forebay(self, place, folder, port, server, work):
        config = folder / 'forebay.toml'
        config.write_text(f'''[forebay]
listen = ["127.0.0.1:{port}"]
workers = {work.cores}
auth = "{'scram-sha-256' if work.password else 'trust'}"
[log]
connections = false
[tls.client]
mode = "allow"
certificate_file = "{place.certificate}"
key_file = "{place.key}"
[tls.server]
mode = "disable"
[pool]
default_pool_size = {POOL}
[databases.{USER}]
hosts = ["127.0.0.1:{server}"]
user = "{USER}"
[users.{USER}]
password = "{verifier()}"
''')
        return [self.program, 'serve', '-c', config], None

    def _pgbouncer(self, place, folder, port, server, work):
        users = folder / 'users.txt'
        users.write_text(f'"{USER}" "{verifier()}"\n')
        key = place.private_key_of(place.run_as) if os.getuid() == 0 else place.key
        config = folder / 'pgbouncer.ini'
        config.write_text(f'''[databases]
{USER} = host=127.0.0.1 port={server} dbname={USER} user={USER}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = {'scram-sha-256' if work.password else 'trust'}
auth_file = {users}
pool_mode = transaction
default_pool_size = {POOL}
max_client_conn = 15000
{'max_prepared_statements = 100' if 'prepared' in self.can else ''}
log_connections = 0
log_disconnections = 0
listen_backlog = 4096
client_tls_sslmode = allow
client_tls_key_file = {key}
client_tls_cert_file = {place.certificate}
''')
        return [self.program, config], place.run_as


def _version(program):
    done = subprocess.run([str(program), '--version'], capture_output=True, text=True)
    found = re.search(r'\d+\.\d+(\.\d+)?', done.stdout + done.stderr)
    return found[0] if found else ''


def _pooler(name, program):
    version = _version(program)
    kind = 'forebay' if 'forebay' in Path(program).name else 'pgbouncer'
    can = {'tls', 'scram', 'logins'}
    if kind == 'forebay' or [int(part) for part in version.split('.')[:2]] >= [1, 21]:
        can.add('prepared')
    return Proxy(name, Path(program), kind, version, frozenset(can))


def find(options, programs):
    """The relay first, then Forebay: ratios are against these and PgBouncer."""
    found = [Proxy('relay', programs['relay'], 'relay', '', frozenset({'prepared'})),
             _pooler('forebay', programs['forebay'])]
    pgbouncer = options.pgbouncer and (shutil.which(options.pgbouncer) or
                                       shutil.which(options.pgbouncer, path='/usr/sbin'))
    if pgbouncer:
        found.append(_pooler('pgbouncer', pgbouncer))
    for given in options.proxy:
        name, path = given.split('=', 1)
        found.append(_pooler(name, path))
    return found
