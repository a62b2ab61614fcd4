#!/usr/bin/env python3
"""Writes forebay(1) and forebay.toml(5) from what the program itself says: --help and `config`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def said(program: str, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def verbatim(text: str) -> str:
    return ".nf\n" + escaped(text.strip("\n")) + "\n.fi\n"


def head(name: str, section: int, version: str, what: str) -> str:
    return (f'.TH {name.upper()} {section} "" "{version}" "Forebay"\n'
            f".SH NAME\n{escaped(name)} \\- {what}\n")


def commands(help_text: str) -> list[str]:
    listed = help_text.split("\nSubcommands:\n", 1)[1]
    return re.findall(r"^  ([a-z][a-z-]*)", listed, re.MULTILINE)


def program_page(program: str, version: str) -> str:
    main_help = said(program, "--help")
    page = head("forebay", 1, version, "proxy and connection pooler for PostgreSQL")
    page += ".SH SYNOPSIS\n.B forebay\n\\fICOMMAND\\fR [\\fIOPTION\\fR ...]\n"
    page += ".SH DESCRIPTION\n" + verbatim(main_help)
    for command in commands(main_help):
        page += f".SH {command.upper()}\n" + verbatim(said(program, command, "--help"))
    page += (".SH SIGNALS\n.TP\nSIGTERM, SIGINT\nDrain: let transactions end, then stop; a second "
             "one stops at once.\n.TP\nSIGHUP\nRead the configuration file again.\n")
    page += (".SH FILES\n.TP\n/etc/forebay/forebay.toml\n"
             "The configuration of the service, see forebay.toml(5).\n")
    return page + ".SH SEE ALSO\nforebay.toml(5), psql(1)\n"


def file_page(program: str, version: str) -> str:
    page = head("forebay.toml", 5, version, "configuration of forebay")
    page += ".SH DESCRIPTION\n"
    about: list[str] = []           # comment lines that wait for what they are about
    for line in said(program, "config").splitlines() + [""]:
        section = re.fullmatch(r"#?\[(.+)\]", line)
        key = re.fullmatch(r"#?([a-z_0-9]+) = (.*)", line)
        if section:
            page += f".SH [{escaped(section[1])}]\n" + prose(about)
        elif key:
            page += f".TP\n\\fB{escaped(key[1])}\\fR = {escaped(key[2])}\n" + prose(about)
        elif line.startswith("# "):
            about.append(line[2:])
            continue
        elif line in ("", "#"):
            if about:
                page += prose(about) + ".PP\n"
        else:
            raise SystemExit(f"not understood in the sample configuration: {line}")
        about = []
    return page + ".SH SEE ALSO\nforebay(1)\n"


def prose(lines: list[str]) -> str:
    return "".join(escaped(line) + "\n" for line in lines)


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit("usage: packaging/man_pages.py PROGRAM FOLDER")
    program, folder = sys.argv[1], Path(sys.argv[2])
    version = said(program, "--version").strip()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "forebay.1").write_text(program_page(program, version))
    (folder / "forebay.toml.5").write_text(file_page(program, version))


if __name__ == "__main__":
    main()
