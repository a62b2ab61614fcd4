#!/usr/bin/env python3
"""The house rules that a program can check, as a test: who may include whom, calls that the core
must not make, sizes of files and functions, leftover markers. Every finding has file and line."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Module -> modules that it may include. `core` headers that anybody may use are core/io.hpp only.
MAY_USE = {
    'base': set(),
    'protocol': {'base'},
    'config': {'base'},
    'routing': {'base', 'config'},
    'auth': {'base', 'protocol', 'config'},
    'core': {'base', 'protocol', 'routing', 'config', 'auth'},
    'net': {'base', 'config', 'core'},
    'monitor': {'base', 'config', 'routing', 'net', 'core'},
    'admin': {'base', 'protocol', 'config', 'core'},
    'metrics': {'base', 'core'},
    'app': {'base', 'protocol', 'config', 'routing', 'auth', 'core', 'net', 'monitor', 'admin',
            'metrics'},
}
# What a module must not know, whatever its own includes pull in.
FORBIDDEN = {
    'base': ['<boost/asio', '<openssl/', '<spdlog/', '<sys/socket', '<toml'],
    'protocol': ['<boost/asio', '<openssl/', '<spdlog/', '<sys/', '<toml', '<unistd', '<fstream'],
    'config': ['<boost/asio', '<openssl/', '<spdlog/', '<sys/socket'],
    'routing': ['<boost/asio', '<openssl/', '<spdlog/', '<sys/', '<unistd', '<fstream'],
    'auth': ['<boost/asio', '<openssl/ssl', '<spdlog/', '<sys/', '<unistd', '<fstream'],
    'core': ['<boost/asio', '<openssl/', '<spdlog/', '<sys/', '<unistd', '<fstream', '<toml',
             '<prometheus/'],
    'net': ['<spdlog/', '<toml', '<prometheus/'],
    'metrics': ['<boost/asio', '<openssl/', '<spdlog/'],
}
# One file each may include these.
ONLY_ONE = {'<toml++/': 'config/', 'pg_query': 'routing/sql/parser.cpp',
            '<re2/': 'config/pattern.cpp',
            'postgres.h': 'routing/sql/raw_tree.hpp'}
PURE = {'protocol', 'routing', 'config', 'auth', 'core'}
BANNED = [(re.compile(p), why) for p, why in [
    (r'::now\s*\(', 'reads a clock: time is an argument'),
    (r'\b(?:rand|srand|random)\s*\(', 'random numbers are arguments'),
    (r'\bstd::(?:cout|cerr|clog)\b|\bf?printf\s*\(', 'writes to a stream'),
    (r'\bsleep_(?:for|until)\b', 'sleeps'),
]]
# What a pointer that a call returns points to may be gone before the loop begins.
DANGLES = re.compile(r'\bfor \([^;]* : (?:\*[\w.:>-]*\(|[^;{]*\)->)')
MARKERS = re.compile(r'\b(?:TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK)\b')
LINE_MAX, FILE_MAX, FUNCTION_MAX = 100, 600, 70

findings = []


def find(path, line, text):
    findings.append(f'{path.relative_to(ROOT)}:{line}: {text}')


def module_of(path):
    parts = path.relative_to(ROOT).parts
    if parts[0] == 'include':
        return parts[2]
    return parts[1] if parts[0] == 'src' else parts[0]


def included_module(name):
    if name.startswith('forebay/'):
        return name.split('/')[1]
    first = name.split('/')[0]
    return first if first in MAY_USE else None


def check_includes(path, lines):
    module = module_of(path)
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)', line)
        if not match:
            continue
        name = match[2]
        written = match[1] + name
        for bad in FORBIDDEN.get(module, []):
            if written.startswith(bad):
                find(path, number, f'{module} must not know {written}>')
        for library, place in ONLY_ONE.items():
            if library.lstrip('<') in name and not str(path.relative_to(ROOT)).startswith(place):
                find(path, number, f'{name} may be included below {place} only')
        used = included_module(name) if match[1] == '"' else None
        if used is None or used == module or name == 'forebay/core/io.hpp':
            continue
        if used not in MAY_USE.get(module, set()):
            find(path, number, f'{module} may not use {used} ({name})')
        if path.relative_to(ROOT).parts[0] == 'include' and not name.startswith('forebay/'):
            find(path, number, f'a public header includes the private {name}')


def check_text(path, lines):
    module = module_of(path) if path.relative_to(ROOT).parts[0] != 'tests' else None
    if len(lines) > FILE_MAX:
        find(path, len(lines), f'{len(lines)} lines, more than {FILE_MAX}: its parts have names')
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_MAX:
            find(path, number, f'{len(line)} columns, more than {LINE_MAX}')
        if MARKERS.search(line):
            find(path, number, 'a marker of unfinished work')
        code = line.split('//')[0]
        if DANGLES.search(code):
            find(path, number, 'loops over what a temporary pointer holds: name the pointer')
        if module in PURE and '"' not in code:
            for pattern, why in BANNED:
                if pattern.search(code):
                    find(path, number, f'{module} {why}')


def braces(line):
    """Opening minus closing braces of the code in a line."""
    code = re.sub(r"'(?:\\.|[^'\\])'|\"(?:\\.|[^\"\\])*\"", '', line).split('//')[0]
    return code.count('{') - code.count('}')


def check_functions(path, lines):
    """A function begins with a line that closes a parameter list and opens a brace."""
    start, depth = None, 0
    for number, line in enumerate(lines, 1):
        if start is None:
            if re.search(r'\)[\w\s:&>,<*-]*\{$', line) and not re.match(
                    r'\s*(?:if|for|while|switch|else|do|\}|namespace|class|struct|enum)\b', line):
                start, depth = number, braces(line)
        else:
            depth += braces(line)
            if depth <= 0:
                if number - start + 1 > FUNCTION_MAX:
                    find(path, start, f'a function of {number - start + 1} lines, more than '
                                      f'{FUNCTION_MAX}')
                start = None


def sources():
    # Files that git tracks or would track: build folders and the like are not ours.
    listed = subprocess.run(['git', '-C', str(ROOT), 'ls-files', '-co', '--exclude-standard'],
                            capture_output=True, text=True, check=False)
    names = listed.stdout.split('\n') if listed.returncode == 0 else [
        str(p.relative_to(ROOT)) for p in ROOT.rglob('*') if 'build' not in p.parts]
    for name in sorted(set(names)):
        path = ROOT / name
        if path.suffix in ('.cpp', '.hpp', '.h', '.c') and path.is_file():
            yield path


def main():
    count = 0
    for path in sources():
        lines = path.read_text(encoding='utf-8', errors='replace').split('\n')
        if lines and lines[-1] == '':
            lines.pop()
        top = path.relative_to(ROOT).parts[0]
        if top in ('include', 'src', 'protocol', 'routing', 'config'):
            check_includes(path, lines)
        check_text(path, lines)
        if path.suffix == '.cpp':
            check_functions(path, lines)
        count += 1
    for finding in findings:
        print(finding)
    print(f'{count} files, {len(findings)} findings')
    return 1 if findings or count == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
