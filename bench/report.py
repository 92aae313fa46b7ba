# SPDX-License-Identifier: MIT
"""rows.jsonl to one table (Markdown) and one picture (SVG)."""
import json
import statistics

TITLES = {'gangway': 'Gangway', 'restate': 'Restate (24 partitions)', 'restate-1p': 'Restate (1 partition)',
          'dbos': 'DBOS on PostgreSQL', 'langgraph-sqlite-full': 'LangGraph.js, SQLite FULL',
          'langgraph-pg': 'LangGraph.js, PostgreSQL', 'xstate-mem': 'XState (memory only)',
          'plain-node': 'plain Node (memory only)'}


def medians(rows):
    """{(name, work): {key: median}} and how many runs each has."""
    groups, ret = {}, {}
    for row in rows:
        groups.setdefault((row['name'], row['work']), []).append(row)
    for key, some in groups.items():
        ret[key] = {'count': len(some)}
        for field in {f for row in some for f in row if f not in ('name', 'work')}:
            values = [row[field] for row in some if isinstance(row.get(field), (int, float))]
            if values:
                ret[key][field] = statistics.median(values)
    return ret


def show(value, digits=0):
    return '-' if value is None else f'{value:,.{digits}f}'


def table(found):
    names = [name for name, work in found if work == 'w1' and name not in ('floor', 'chain')]
    lines = ['| | W1 runs/s | CPU-s per 1,000 steps | W2 runs/s | CPU-s per 1,000 steps | W3 p50 / p99 ms '
             '| syncs per run W1 / W2 / W3 | peak RSS MiB W1 | bytes per W1 step |', '|---|---|---|---|---|---|---|---|---|']
    for name in names:
        w1, w2, w3 = (found.get((name, work), {}) for work in ('w1', 'w2', 'w3'))
        lines.append('| ' + ' | '.join([
            TITLES.get(name.lower(), name), show(w1.get('runs_s')), show(w1.get('cpu'), 3), show(w2.get('runs_s')),
            show(w2.get('cpu'), 3), f"{show(w3.get('p50'), 2)} / {show(w3.get('p99'), 2)}",
            f"{show(w1.get('syncs'), 2)} / {show(w2.get('syncs'), 2)} / {show(w3.get('syncs'), 1)}",
            show(w1.get('rss')), show(w1.get('bytes'))]) + ' |')
    floor, chain = found.get(('floor', 'w1')), found.get(('chain', 'wire'))
    if floor:
        lines.append(f"| W1 without an engine (`bench/floor.c`) | {show(floor['runs_s'])} | {show(floor['cpu'], 3)} "
                     f"| - | - | - | {show(floor['syncs'], 2)} / - / - | - | - |")
    if chain:
        lines += ['', f"HTTP calls through the whole chain: {show(chain['calls_per_s'])} per second at "
                  f"{show(chain['cpu_us_per_call'], 1)} us of CPU; bare libcurl {show(chain['bare_calls_per_s'])} at "
                  f"{show(chain['bare_cpu_us_per_call'], 1)} us: {show(chain['ratio'], 2)} times."]
    return '\n'.join(lines) + '\n'


def picture(found):
    """Two rows of bars: runs per second of W1 and of W2."""
    width, left, bar, gap = 760, 230, 20, 8
    parts, y = [], 30
    for work, title in (('w1', 'W1, runs per second: 6 HTTP calls, 8 steps'),
                        ('w2', 'W2, runs per second: 10 durable steps')):
        rows = [(name, v['runs_s']) for (name, w), v in found.items() if w == work and 'runs_s' in v]
        if not rows:
            continue
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{title}</text>')
        y += 12
        most = max(value for _, value in rows)
        for name, value in sorted(rows, key=lambda row: -row[1]):
            colour = '#1f6f54' if name == 'Gangway' else '#c9c9c9' if name == 'floor' else '#7d8fa6'
            label = 'no engine (floor)' if name == 'floor' else TITLES.get(name.lower(), name)
            length = (width - left - 90) * value / most
            parts.append(f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{label}</text>'
                         f'<rect x="{left}" y="{y}" width="{length:.0f}" height="{bar}" fill="{colour}"/>'
                         f'<text x="{left + length + 6:.0f}" y="{y + 15}">{value:,.0f}</text>')
            y += bar + gap
        y += 28
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" font-family="sans-serif" '
            f'font-size="13">\n<rect width="100%" height="100%" fill="white"/>\n' + '\n'.join(parts) + '\n</svg>\n')


def write(folder):
    rows = [json.loads(line) for line in open(f'{folder}/rows.jsonl')]
    found = medians(rows)
    text = table(found)
    with open(f'{folder}/report.md', 'w') as file:
        file.write(text)
    with open(f'{folder}/report.svg', 'w') as file:
        file.write(picture(found))
    print(text)
    print(f'{folder}/report.md, {folder}/report.svg')
