"""What the proxies are made to do."""
from dataclasses import dataclass, field

MIB = 1 << 20


@dataclass(frozen=True)
class Work:
    name: str
    about: str
    load: list = field(default_factory=list)
    needs: frozenset = frozenset()  # of the proxy: prepared, tls, scram, logins
    unit: str = 'cpu_us'            # what is compared: CPU of a transaction, or of a MiB
    password: bool = False
    idle: int = 0
    cores: int = 1                  # for the proxy; above one, nothing is pinned


def _load(*words):
    return [str(word) for word in words]


def _simple():
    for clients in (1, 16, 64, 256):
        yield Work(f'simple-{clients}', f'simple queries of {clients} clients on 20 servers',
                   _load('--clients', clients))
    for clients in (16, 64):
        yield Work(f'prepared-{clients}', f'a prepared statement, {clients} clients',
                   _load('--mode', 'prepared', '--clients', clients), frozenset({'prepared'}))
    for deep in (10, 100):
        yield Work(f'pipeline-{deep}', f'{deep} prepared statements at once, 16 clients',
                   _load('--mode', 'prepared', '--pipeline', deep, '--clients', 16),
                   frozenset({'prepared'}))


def _large():
    yield Work('result-1MiB', 'results of 1 MiB, 4 clients',
               _load('--clients', 4, '--query', f'rows {MIB}'), unit='cpu_ms_per_mib')
    yield Work('result-100MiB', 'results of 100 MiB, one client',
               _load('--clients', 1, '--query', f'rows {100 * MIB}'), unit='cpu_ms_per_mib')


def _tls():
    yield Work('tls-64', 'simple queries of 64 clients inside TLS 1.3',
               _load('--clients', 64, '--tls'), frozenset({'tls'}))
    yield Work('tls-1MiB', 'results of 1 MiB inside TLS 1.3, 4 clients',
               _load('--clients', 4, '--tls', '--query', f'rows {MIB}'), frozenset({'tls'}),
               unit='cpu_ms_per_mib')


def _logins():
    yield Work('login-trust', 'connect, one query, disconnect', _load('--churn', '--clients', 8),
               frozenset({'logins'}))
    yield Work('login-scram', 'the same with SCRAM-SHA-256', _load('--churn', '--clients', 8),
               frozenset({'logins', 'scram'}), password=True)
    yield Work('login-tls', 'the same inside TLS 1.3', _load('--churn', '--clients', 8, '--tls'),
               frozenset({'logins', 'tls'}))


def _idle():
    yield Work('idle-5000', '100 busy clients beside 5,000 idle ones',
               _load('--clients', 100), idle=5000)
    yield Work('idle-tls-1000', '16 busy clients beside 1,000 idle ones, all inside TLS 1.3',
               _load('--clients', 16, '--tls'), frozenset({'tls'}), idle=1000)


def _two_cores():
    yield Work('two-workers-64', 'simple queries of 64 clients; two workers, nothing pinned',
               _load('--clients', 64), cores=2)


ALL = [*_simple(), *_large(), *_tls(), *_logins(), *_idle(), *_two_cores()]


def choose(names):
    wanted = [name for name in names.split(',') if name]
    return [each for each in ALL
            if not wanted or any(each.name.startswith(name) for name in wanted)]
