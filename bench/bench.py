#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Gangway beside other engines, on the same work, in one run (docs/performance.md).

W1, W2, W3 as DESIGN 10 names them; the floor of W1 (floor.c); HTTP calls through the
chain beside bare libcurl (wire_bench.c).  The peers are those of ../shared/bench (or
$GANGWAY_PEERS) that are installed; without them Gangway and its floor are measured alone.
Loopback only; ends only what it started.  Standard library only; needs nginx and strace.
"""
import argparse, glob, importlib.util, json, os, re, shutil, signal, statistics, subprocess, sys, time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS = {'w1': 8, 'w2': 10}
PAD = {'kyc': 600, 'bank': 600, 'profile': 600, 'llm': 1024, 'provision': 200, 'notify': 200}
STUB_PORT, PORT, IN_FLIGHT = 18180, 18190, 64
HZ = os.sysconf('SC_CLK_TCK')


def say(*words):
    print(time.strftime('%H:%M:%S'), *words, file=sys.stderr, flush=True)


# --- what runs ---------------------------------------------------------------------------

def family(pid):
    """pid and all below it."""
    children, ret, left = {}, [], [pid]
    for stat in glob.glob('/proc/[0-9]*/stat'):
        try:
            text = open(stat).read()
            children.setdefault(int(text.rsplit(')', 1)[1].split()[1]), []).append(int(text.split()[0]))
        except OSError:
            pass
    while left:
        one = left.pop()
        ret.append(one)
        left += children.get(one, [])
    return ret


def status_mib(pid, field):
    try:
        found = re.search(field + r':\s+(\d+)', open(f'/proc/{pid}/status').read())
        return int(found[1]) / 1024 if found else 0
    except OSError:
        return 0


class Process:
    """One program: its CPU, its memory, its end."""

    def __init__(self, argv, log, ready, env=None):
        self.log = log
        self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=open(log, 'w'),
                                      stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
                                      start_new_session=True)
        began = time.time()
        while not ready():
            if self.child.poll() is not None or time.time() - began > 30:
                self.stop()
                raise RuntimeError(f'{argv[0]} did not start: ' + open(log).read()[-800:])
            time.sleep(0.05)

    def pids(self):
        return family(self.child.pid)

    def cpu(self):
        total = 0
        for pid in self.pids():
            try:
                fields = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
                total += (int(fields[11]) + int(fields[12])) / HZ
            except OSError:
                pass
        return total

    def rss(self):
        return sum(status_mib(pid, 'VmHWM') for pid in self.pids())

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


def answers(url):
    def look():
        try:
            return urllib.request.urlopen(url, timeout=1).status == 200
        except OSError:
            return False
    return look


def stub_replies():
    """The services that W1 calls; every peer gets the same bytes."""
    replies = {
        'kyc': {'source': 'kyc', 'customer': {'first_name': 'Ada', 'last_name': 'Lovelace', 'dob': '1985-12-10',
                'email': 'ada@example.org', 'phone': '+4915112345678'}, 'address': {'street': 'Analytical Way 12',
                'city': 'Berlin', 'zip': '10115', 'country': 'DE'}, 'document': {'type': 'passport',
                'number': 'C01X00T47', 'expires': '2031-01-01'}, 'watchlist': []},
        'bank': {'source': 'bank', 'iban': 'DE89370400440532013000', 'bic': 'COBADEFFXXX', 'owner': 'Ada Lovelace',
                 'currency': 'EUR', 'balance': 12345.67, 'transactions': [{'d': '2026-01-02', 'a': -12.5},
                 {'d': '2026-01-03', 'a': 2500}, {'d': '2026-01-05', 'a': -99.99}]},
        'profile': {'source': 'profile', 'tax_id': '12345678903', 'residency': 'DE', 'employment': 'employed',
                    'income': 68000, 'score': 712, 'consents': {'marketing': False, 'credit': True},
                    'segments': ['retail', 'digital']},
        'llm': {'model': 'stub-1', 'choices': [{'message': {'role': 'assistant',
                'content': 'risk=low;confidence=0.93;reason=documents consistent'}}],
                'usage': {'prompt_tokens': 512, 'completion_tokens': 64}},
        'provision': {'status': 'provisioned', 'account': 'ACC-0001', 'tier': 'standard'},
        'notify': {'status': 'queued', 'channel': 'email'},
    }
    for name, reply in replies.items():
        reply['pad'] = ''
        text = json.dumps(reply, separators=(',', ':'))
        reply['pad'] = 'x' * (PAD[name] - len(text))
        yield name, json.dumps(reply, separators=(',', ':'))


def start_stub(folder):
    nginx = shutil.which('nginx') or next(iter(glob.glob(f'{os.path.dirname(folder)}/peers/sys/root/usr/sbin/nginx')), None)
    if not nginx:
        sys.exit('bench: nginx is missing: apt-get install nginx-light')
    os.makedirs(folder, exist_ok=True)
    places = ''.join(f"location = /{name} {{ default_type application/json; return 200 '{text}'; }}\n"
                     for name, text in stub_replies())
    temps = ''.join(f'{name}_temp_path {folder}/{name};' for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    open(f'{folder}/nginx.conf', 'w').write(
        f'daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log warn;\n'
        'events { worker_connections 4096; }\nhttp { access_log off; keepalive_requests 1000000000; '
        f'keepalive_timeout 3600s; tcp_nodelay on; server_tokens off; {temps}\n'
        f'server {{ listen 127.0.0.1:{STUB_PORT};\n{places} }} }}\n')
    return Process([nginx, '-p', folder, '-c', f'{folder}/nginx.conf'], f'{folder}/log',
                   answers(f'http://127.0.0.1:{STUB_PORT}/kyc'))


class Gangway:
    """`gangway serve`, started over HTTP, answered when the run has ended."""
    name, port, store, must_hold, is_durable = 'Gangway', PORT, True, '"status":"ended"', True

    def __init__(self, bench):
        self.build, self.folder = bench.build, f'{bench.work}/gangway'

    def path(self, work):
        return '/v1/runs?wait=60'

    def body(self, work):
        return json.dumps({'graph': work, 'input': {'id': '%'}}, separators=(',', ':'))

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        config = {'store': f'{self.folder}/runs.db', 'graphs': f'{HERE}/graphs', 'rules': f'{HERE}/rules',
                  'artifacts': f'{self.folder}/out', 'audit_files': False, 'plugins': os.path.abspath(f'{self.build}/plugins/.libs'),
                  'serve': {'port': PORT, 'anonymous': 'operator', 'per_address': 0},
                  'connections': {'stub': {'url': f'http://127.0.0.1:{STUB_PORT}', 'plugin': 'http',
                                           'private': True, 'concurrency': 256}}}
        json.dump(config, open(f'{self.folder}/config.json', 'w'))
        self.process = Process([f'{self.build}/gangway', 'serve', '--config', f'{self.folder}/config.json'],
                               f'{self.folder}/log', answers(f'http://127.0.0.1:{PORT}/healthz'))

    def processes(self):
        return [self.process]

    def stored(self):
        return sum(os.path.getsize(f) for f in glob.glob(f'{self.folder}/runs.db*') if not f.endswith('shm'))

    def stop(self):
        self.process.stop()


class Peer:
    """One of the shared harness's peers: it starts and stops them, we measure."""
    must_hold = None

    def __init__(self, name, shared):
        self.name, self.peer = name, shared.PEER[name]()
        self.port, self.shared = self.peer.port, shared
        self.is_durable = not self.peer.durable.startswith('NONE')
        self.store = self.peer.store

    def path(self, work):
        return self.peer.pre + work

    def body(self, work):
        return '{"id":"%"}'

    def start(self):
        self.peer.start()

    def processes(self):
        return self.peer.c

    def stored(self):
        return self.shared.du(self.peer.store) if self.store else 0

    def stop(self):
        self.peer.stop()


def load_shared(work):
    """The harness of ../shared/bench, copied to where it may write, with its peers installed."""
    source = os.environ.get('GANGWAY_PEERS') or os.path.join(HERE, '..', '..', 'shared', 'bench')
    if not os.path.exists(f'{source}/run.sh'):
        return None
    if not os.path.exists(f'{work}/peers/out/versions.txt'):
        say('installing the peers: a few minutes, once')
        shutil.copytree(source, f'{work}/peers', dirs_exist_ok=True)
        subprocess.run(['chmod', '-R', 'u+w', f'{work}/peers'], check=True)
        done = subprocess.run([f'{work}/peers/run.sh', 'setup'], stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            say('the peers could not be installed: measuring without them')
            return None
    spec = importlib.util.spec_from_file_location('peers', f'{work}/peers/harness/bench.py')
    shared = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shared)
    shared.STUB_PORT = STUB_PORT
    os.makedirs(shared.DATA, exist_ok=True)
    return shared


# --- measuring ----------------------------------------------------------------------------

def load(bench, engine, work, in_flight, warm, seconds, count=0, on_start=None, on_end=None):
    argv = [f'{bench.build}/bench/load', str(engine.port), engine.path(work), str(in_flight), str(warm),
            str(seconds), str(count), engine.body(work)] + ([engine.must_hold] if engine.must_hold else [])
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    result = None
    for line in child.stdout:
        if line.startswith('START') and on_start:
            on_start()
        elif line.startswith('END') and on_end:
            on_end()
        elif line.startswith('{'):
            result = json.loads(line)
    child.wait()
    if not result or result['bad'] > 0:
        raise RuntimeError(f"{engine.name} {work}: bad answers: {result and result['firstbad']}")
    return result


def syncs(bench, engine, work, in_flight, seconds, count=0):
    """fsync and fdatasync calls per run, by strace, in a run of its own under the same load."""
    if not shutil.which('strace') or not engine.is_durable:
        return None
    out = f'{bench.work}/strace'
    pids = [str(pid) for p in engine.processes() for pid in p.pids()]
    # -I: strace itself must end when it is told to, and write its table then.
    trace = subprocess.Popen(['strace', '-f', '-c', '-e', 'trace=fsync,fdatasync,msync,sync_file_range', '-o', out]
                             + [a for pid in pids for a in ('-p', pid)], stderr=subprocess.DEVNULL)
    time.sleep(1)
    result = load(bench, engine, work, in_flight, 0, seconds, count)
    trace.send_signal(signal.SIGINT)
    trace.wait()
    calls = sum(int(row.split()[3]) for row in open(out)
                if re.search(r'\s(fsync|fdatasync|msync|sync_file_range)$', row))
    return calls / max(1, result['total_ok'])


def throughput(bench, engine, work, wants_syncs):
    edge = {}

    def look(at):
        edge[at] = (time.monotonic(), sum(p.cpu() for p in engine.processes()), engine.stored())
    engine.start()
    try:
        result = load(bench, engine, work, IN_FLIGHT, bench.warm, bench.seconds,
                      on_start=lambda: look('from'), on_end=lambda: look('to'))
        (t0, cpu0, size0), (t1, cpu1, size1) = edge['from'], edge['to']
        steps = result['rate'] * STEPS[work] * (t1 - t0)
        return {'runs_s': result['rate'], 'cpu': (cpu1 - cpu0) / steps * 1000, 'p50': result['p50_ms'],
                'p99': result['p99_ms'], 'rss': sum(p.rss() for p in engine.processes()),
                'bytes': (size1 - size0) / steps if engine.store else None,
                'syncs': syncs(bench, engine, work, IN_FLIGHT, 3) if wants_syncs else None}
    finally:
        engine.stop()


def alone(bench, engine, wants_syncs):
    engine.start()
    try:
        load(bench, engine, 'w1', 16, 1, 2)
        result = load(bench, engine, 'w1', 1, 0.5, 60, 200)
        return {'p50': result['p50_ms'], 'p99': result['p99_ms'],
                'syncs': syncs(bench, engine, 'w1', 1, 20, 100) if wants_syncs else None}
    finally:
        engine.stop()


def floor(bench):
    store = f'{bench.work}/floor.db'
    for path in glob.glob(store + '*'):
        os.remove(path)
    out = subprocess.run([f'{bench.build}/bench/floor', f'http://127.0.0.1:{STUB_PORT}', str(IN_FLIGHT),
                          str(bench.seconds), store], check=True, capture_output=True, text=True).stdout
    row = json.loads(out)
    return {'runs_s': row['runs_per_s'], 'cpu': row['cpu_us_per_run'] / 1000 / STEPS['w1'], 'syncs': row['syncs_per_run']}


def chain(bench):
    env = {**os.environ, 'GANGWAY_PLUGIN_DIR': os.path.abspath(f'{bench.build}/plugins/.libs')}
    out = subprocess.run([f'{bench.build}/bench/wire_bench', f'http://127.0.0.1:{STUB_PORT}', '/kyc', str(IN_FLIGHT),
                          '50000'], check=True, capture_output=True, text=True, env=env).stdout
    return json.loads(out)


def measure(bench):
    """Repetitions outermost, so that a drift of the machine meets everybody; appends to rows.jsonl."""
    for rep in range(bench.reps):
        for work in bench.works:
            for engine in bench.engines():
                wants = rep == bench.reps - 1
                try:
                    row = alone(bench, engine, wants) if work == 'w3' else throughput(bench, engine, work, wants)
                except (RuntimeError, OSError) as error:
                    say(engine.name, work, 'failed:', error)
                    continue
                keep(bench, engine.name, work, row)
            if work == 'w1':
                keep(bench, 'floor', work, floor(bench))
                keep(bench, 'chain', 'wire', chain(bench))


def keep(bench, name, work, row):
    say(name, work, json.dumps(row))
    with open(f'{bench.work}/rows.jsonl', 'a') as file:
        file.write(json.dumps({'name': name, 'work': work, **row}) + '\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('peers', nargs='*', default=['restate-1p', 'xstate-mem'],
                        help='peers of ../shared/bench (default: restate-1p xstate-mem; none: Gangway alone)')
    parser.add_argument('--build', default='build')
    parser.add_argument('--reps', type=int, default=3)
    parser.add_argument('--warm', type=float, default=3)
    parser.add_argument('--seconds', type=float, default=8)
    parser.add_argument('--works', default='w1,w2,w3')
    parser.add_argument('--add', action='store_true', help='keep the rows of earlier calls')
    parser.add_argument('--report', action='store_true', help='only the table and the picture again')
    bench = parser.parse_args()
    bench.build = os.path.abspath(bench.build)
    bench.work = f'{bench.build}/bench/work'
    bench.works = bench.works.split(',')
    os.makedirs(bench.work, exist_ok=True)
    if not bench.report:
        if not bench.add and os.path.exists(f'{bench.work}/rows.jsonl'):
            os.remove(f'{bench.work}/rows.jsonl')
        names = [name for name in bench.peers if name != 'none']
        shared = load_shared(bench.work) if names else None
        bench.engines = lambda: [Gangway(bench)] + [Peer(name, shared) for name in names if shared]
        stub = start_stub(f'{bench.work}/stub')
        try:
            measure(bench)
        finally:
            stub.stop()
    sys.path.insert(0, HERE)
    import report
    report.write(bench.work)


if __name__ == '__main__':
    main()
