"""The Debian package: what is in it, and that it installs, upgrades and purges cleanly."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap
from pathlib import Path

from lab.declare import FOREBAY, test
from lab.forebay import binary
from lab.lab import Lab
from lab.process import LabError, run

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"


def may_copy() -> bool:
    """Packages are installed into a copy of this machine's files, which only root can make, and not
    in every container."""
    return (os.getuid() == 0 and "\toverlay\n" in Path("/proc/filesystems").read_text()
            and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0)


COPIES = may_copy()


def build(lab: Lab) -> Path:
    folder = lab.folder / "deb"
    run([PACKAGING / "build-deb", "--binary", binary(), "--output", folder], within=120)
    found = [p for p in folder.glob("forebay_*.deb")]
    if len(found) != 1:
        raise LabError(f"packages in {folder}: {found}")
    return found[0]


def in_copy(lab: Lab, script: str) -> str:
    """Runs a shell script in a copy of the file system, which is gone afterwards."""
    folder = lab.folder / "copy"
    folder.mkdir()
    inside = lab.folder / "script.sh"
    inside.write_text("set -eu\n" + textwrap.dedent(script))
    outside = textwrap.dedent(f"""
        set -eu
        mount -t tmpfs none {folder}
        mkdir {folder}/upper {folder}/work {folder}/root
        mount -t overlay none -o lowerdir=/,upperdir={folder}/upper,workdir={folder}/work \\
            {folder}/root
        mkdir -p {folder}/root/package
        mount --bind {lab.folder} {folder}/root/package
        mount --bind /dev {folder}/root/dev
        chroot {folder}/root sh /package/script.sh
    """)
    done = run(["unshare", "--mount", "sh", "-c", outside], within=120)
    return done.out


@test(targets=FOREBAY, heavy=True, within=240)
def policy(lab: Lab) -> None:
    """Debian's own checks, the manual's pages, and how much the service could do if taken over."""
    package = build(lab)
    checked = run(["lintian", "--allow-root", "--fail-on", "error,warning", package], within=120,
                  expect=None)
    assert checked.code == 0, checked
    run([PACKAGING / "man_pages.py", binary(), lab.folder / "man"])
    for page in sorted((lab.folder / "man").iterdir()):
        shown = run(["man", "--warnings", "-l", page], env=dict(os.environ, MAN_KEEP_STDERR="1"))
        assert not shown.err, shown
    run(["systemd-analyze", "security", "--offline=true", "--threshold=15",
         PACKAGING / "systemd" / "forebay.service"])


@test(targets=FOREBAY if COPIES else (), heavy=True, within=240)
def installed_upgraded_purged(lab: Lab) -> None:
    package = build(lab)
    shutil.copy(package, lab.folder / "forebay.deb")
    in_copy(lab, """
        export DEBIAN_FRONTEND=noninteractive
        dpkg --force-depends -i /package/forebay.deb
        test "$(stat -c '%U:%G %a' /etc/forebay/forebay.toml)" = 'root:forebay 640'
        test "$(getent passwd forebay | cut -d: -f7)" = /usr/sbin/nologin
        test -L /etc/systemd/system/multi-user.target.wants/forebay.service
        setpriv --reuid forebay --regid forebay --clear-groups \\
            forebay check -c /etc/forebay/forebay.toml
        # What the administrator writes survives an upgrade, and so do its rights.
        echo '# mine' >> /etc/forebay/forebay.toml
        chmod 0600 /etc/forebay/forebay.toml
        dpkg --force-depends -i /package/forebay.deb
        grep -q '# mine' /etc/forebay/forebay.toml
        test "$(stat -c %a /etc/forebay/forebay.toml)" = 600
        dpkg --remove forebay
        test -e /etc/forebay/forebay.toml
        dpkg --purge forebay
        test ! -e /etc/forebay
        test ! -e /usr/bin/forebay
        test ! -e /etc/systemd/system/multi-user.target.wants/forebay.service
    """)
