"""The measurements: each proxy in turn, round after round, so that what disturbs the machine disturbs
all of them."""
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

from . import machine, proxies

CORES_OF_PROXY, CORE_OF_OTHERS = 0, 1
WARM_SECONDS = 0.3


def everything(place, programs, contestants, chosen, options):
    server = place.port()
    place.start([programs['backend'], server], server, CORE_OF_OTHERS)
    calls = not options.no_calls and machine.counts_calls()
    results = []
    for work in chosen:
        rounds = {}
        running = {}
        able = [each for each in contestants if work.needs <= each.can]
        try:
            for proxy in able:
                running[proxy.name] = proxy.start(place, server, work, _core(work))
                if work.idle:
                    # What the busy clients take is not the idle ones'.
                    _measure(programs, *running[proxy.name], replace(work, idle=0), WARM_SECONDS)
            for number in range(options.rounds):
                for proxy in able:
                    rounds.setdefault(proxy.name, []).append(
                        _measure(programs, *running[proxy.name], work, options.seconds))
                print(f'{work.name}: round {number + 1} of {options.rounds}', file=sys.stderr)
            if calls:
                for proxy in able:
                    counted = _calls(place, programs, *running[proxy.name], work)
                    for each in rounds[proxy.name]:
                        each['calls'] = counted
        finally:
            for process, _ in running.values():
                place.stop(process)
        results.append({'work': work.name, 'about': work.about, 'unit': work.unit,
                        'rounds': rounds, 'versions': {each.name: each.version for each in able}})
    return results


def _core(work):
    return CORES_OF_PROXY if work.cores == 1 else None


def _command(programs, process, port, work, seconds):
    command = [programs['load'], '--port', port, '--seconds', seconds, '--watch', process.pid,
               *work.load]
    if work.idle:
        command += ['--idle', work.idle]
    if work.password:
        command += ['--password', proxies.PASSWORD]
    pinned = [] if work.cores > 1 else ['taskset', '-c', CORE_OF_OTHERS]
    return [str(word) for word in (*pinned, *command)]


def _measure(programs, process, port, work, seconds):
    before = _resident_mib(process.pid)
    done = subprocess.run(_command(programs, process, port, work, seconds), capture_output=True,
                          text=True, timeout=seconds + 120)
    if done.returncode != 0:
        raise RuntimeError(f'{work.name}: {done.stderr.strip()[-300:]}')
    result = json.loads(done.stdout)
    if work.idle:
        result['kib_an_idle_client'] = (result['resident_mib'] - before) * 1024 / work.idle
    if result['errors']:
        print(f"{work.name}: {result['errors']} errors: {done.stderr[:200]}", file=sys.stderr)
    return result


def _resident_mib(pid):
    with open(f'/proc/{pid}/statm') as statm:
        return int(statm.read().split()[1]) * 4096 / (1 << 20)


def _calls(place, programs, process, port, work):
    """System calls from the first transaction of a short run to its end, by their number."""
    output = place.folder / 'calls'
    load = subprocess.Popen(_command(programs, process, port, work, 1) + ['--wait'], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)
    load.stdout.readline()
    counter = subprocess.Popen(['perf', 'stat', '-x,', '-o', str(output), '-e',
                                'raw_syscalls:sys_enter', '-p', str(process.pid)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    result = json.loads(load.communicate('\n')[0])
    counter.send_signal(signal.SIGINT)
    counter.wait()
    for line in output.read_text().splitlines():
        count = line.split(',')[0]
        if count.isdigit():
            return int(count) / max(1, result['all'])
    return None
