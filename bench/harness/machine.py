"""The machine: what is built on it, what it is, and the processes of a run."""
import os
import platform
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / 'build' / 'bench'


def build(forebay):
    """The programs of the benchmark, built; and Forebay, unless it is given."""
    subprocess.run(['cmake', '--preset', 'release', '-B', str(BUILD), '-DFOREBAY_BENCH=ON',
                    '-DFOREBAY_TESTS=OFF'], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    targets = ['bench_relay', 'bench_backend', 'bench_load'] + ([] if forebay else ['forebay'])
    subprocess.run(['cmake', '--build', str(BUILD), '--target', *targets], check=True)
    folder = BUILD / 'bench'
    return {'relay': folder / 'bench_relay', 'backend': folder / 'bench_backend',
            'load': folder / 'bench_load', 'forebay': Path(forebay or BUILD / 'forebay').resolve()}


def _git(*words):
    done = subprocess.run(['git', '-C', str(ROOT), *words], capture_output=True, text=True)
    return done.stdout.strip()


def facts():
    cpu = re.search(r'^model name\s*:\s*(.+)$', Path('/proc/cpuinfo').read_text(), re.M)
    changed = _git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!bench')
    return {'date': time.strftime('%Y-%m-%d'), 'commit': _git('rev-parse', '--short', 'HEAD'),
            'changed': bool(changed), 'cpu': cpu[1] if cpu else platform.machine(),
            'cores': os.cpu_count(), 'kernel': platform.release(),
            'load_before': round(os.getloadavg()[0], 2)}


def result_path(known):
    return ROOT / 'bench' / 'results' / f"{known['date']}-{known['commit']}"


def counts_calls():
    """Whether perf may count system calls here."""
    if shutil.which('perf') is None:
        return False
    done = subprocess.run(['perf', 'stat', '-x,', '-e', 'raw_syscalls:sys_enter', 'true'],
                          capture_output=True, text=True)
    return re.search(r'^\d+,', done.stderr, re.M) is not None


class Place:
    """A folder, ports, a certificate, and every process that was started: all gone at the end."""

    def __init__(self, first_port, run_as):
        self.next_port = first_port
        self.run_as = run_as
        self.processes = []

    def __enter__(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.folder = Path(tempfile.mkdtemp(prefix='forebay-bench-'))
        self.folder.chmod(0o755)
        self.certificate, self.key = self.folder / 'cert.pem', self.folder / 'key.pem'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj',
                        '/CN=localhost', '-keyout', str(self.key), '-out', str(self.certificate)],
                       check=True, stderr=subprocess.DEVNULL)
        self.key.chmod(0o600)
        signal.signal(signal.SIGTERM, lambda *_: exit(1))
        return self

    def __exit__(self, *_):
        for process in self.processes:
            self.stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def own_folder(self, name):
        folder = Path(tempfile.mkdtemp(prefix=name + '-', dir=self.folder))
        folder.chmod(0o755)
        return folder

    def private_key_of(self, user):
        """A copy of the key that the user may read, and nobody else."""
        copy = self.folder / f'key-{user}.pem'
        if not copy.exists():
            shutil.copy(self.key, copy)
            copy.chmod(0o600)
            shutil.chown(copy, user)
        return copy

    def port(self):
        while True:
            self.next_port += 1
            with socket.socket() as probe:
                try:
                    probe.bind(('127.0.0.1', self.next_port))
                    return self.next_port
                except OSError:
                    pass

    def start(self, command, port, core=None, user=None):
        words = [str(word) for word in command]
        if core is not None:
            words = ['taskset', '-c', str(core), *words]
        extra = {}
        if user and os.getuid() == 0:
            known = pwd.getpwnam(user)
            extra = {'user': known.pw_uid, 'group': known.pw_gid, 'extra_groups': []}
        log = open(self.folder / f'{port}.log', 'w')
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=self.folder, **extra)
        self.processes.append(process)
        for _ in range(200):
            if process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(('127.0.0.1', port)) == 0:
                    return process
            time.sleep(0.05)
        said = (self.folder / f'{port}.log').read_text()[-500:]
        raise RuntimeError(f'{Path(words[-1 if core is None else 3]).name} did not start: {said}')

    def stop(self, process):
        if process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
