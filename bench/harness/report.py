"""Medians and ratios: a table for people, JSON for programs, and a picture."""
import json
import statistics
from xml.sax.saxutils import escape

COLOURS = {'relay': '#9aa5b1', 'forebay': '#1f77b4', 'pgbouncer': '#d98032'}
OTHER_COLOURS = ['#5b9a68', '#8e6bb0', '#b5524a']


def median(rounds, key):
    values = [each[key] for each in rounds if each.get(key) is not None]
    return statistics.median(values) if values else None


def ratio(result, name, base):
    """The median of the ratios within each round."""
    ours, theirs = result['rounds'].get(name), result['rounds'].get(base)
    if not ours or not theirs:
        return None
    unit = result['unit']
    values = [a[unit] / b[unit] for a, b in zip(ours, theirs) if b[unit]]
    return statistics.median(values) if values else None


def _cell(value, form='{:.2f}'):
    return '' if value is None else form.format(value)


def table(results, out):
    print('| Work | Proxy | CPU | x relay | x PgBouncer | calls | per second | p50 us | p99 us '
          '| MiB |\n|---|---|---|---|---|---|---|---|---|---|', file=out)
    for result in results:
        for name, rounds in result['rounds'].items():
            unit = 'us' if result['unit'] == 'cpu_us' else 'ms/MiB'
            form = '{:.2f}' if result['unit'] == 'cpu_us' else '{:.3f}'
            idle = median(rounds[:1], 'kib_an_idle_client')
            memory = _cell(median(rounds, 'resident_mib'), '{:.1f}') + (
                f' ({idle:.1f} KiB a client)' if idle is not None and name != 'relay' else '')
            print('| ' + ' | '.join([
                result['work'], name, _cell(median(rounds, result['unit']), form) + ' ' + unit,
                _cell(ratio(result, name, 'relay')), _cell(ratio(result, name, 'pgbouncer')),
                _cell(median(rounds, 'calls')), _cell(median(rounds, 'per_second'), '{:.0f}'),
                _cell(median(rounds, 'p50'), '{:.0f}'), _cell(median(rounds, 'p99'), '{:.0f}'),
                memory]) + ' |', file=out)


def write(target, facts, results, options):
    target.parent.mkdir(parents=True, exist_ok=True)
    kept = {key: options[key] for key in ('rounds', 'seconds')}
    target.with_suffix('.json').write_text(
        json.dumps({'machine': facts, 'options': kept, 'results': results}, indent=1) + '\n')
    with open(target.with_suffix('.md'), 'w') as out:
        print(f"Commit {facts['commit']}{' and changes' if facts['changed'] else ''}, "
              f"{facts['date']}: {facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, "
              f"load {facts['load_before']} before it began. Medians of {kept['rounds']} rounds of "
              f"{kept['seconds']} s.\n", file=out)
        table(results, out)
    target.with_suffix('.svg').write_text(picture(results))


def picture(results):
    """CPU against the relay (against PgBouncer where the relay cannot take part)."""
    left, width, bar, gap, top = 170, 520, 13, 12, 34
    bars, y, longest = [], top, 2.5
    for result in results:
        base = 'relay' if 'relay' in result['rounds'] else 'pgbouncer'
        bars.append((y, result['work'], None, None))
        for index, name in enumerate(result['rounds']):
            value = ratio(result, name, base)
            if value is not None and name != base:
                colour = COLOURS.get(name, OTHER_COLOURS[index % len(OTHER_COLOURS)])
                bars.append((y, f'{name} {value:.2f} x {base}', value, colour))
                y += bar
        y += gap
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 180}" '
             f'height="{y + 10}" font-family="sans-serif" font-size="11">',
             f'<text x="{left}" y="16" font-size="13">CPU of a transaction or of a MiB, as a '
             'multiple (shorter is better)</text>']
    for at, text, value, colour in bars:
        if value is None:
            parts.append(f'<text x="{left - 8}" y="{at + 10}" text-anchor="end">{escape(text)}'
                         '</text>')
            continue
        long = min(value, longest) / longest * width
        parts.append(f'<rect x="{left}" y="{at}" width="{long:.1f}" height="{bar - 2}" '
                     f'fill="{colour}"/>')
        parts.append(f'<text x="{left + long + 4:.1f}" y="{at + 10}">{escape(text)}</text>')
    one = left + width / longest
    parts.append(f'<line x1="{one:.1f}" y1="{top - 6}" x2="{one:.1f}" y2="{y}" stroke="#444" '
                 'stroke-dasharray="3 3"/>')
    return '\n'.join(parts) + '\n</svg>\n'
