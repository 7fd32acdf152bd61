"""Install the built wheel in an empty environment, and run the hooks with the real pre-commit program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MANIFEST = """\
version: 1
name: j
workflows: [{id: a, workflow: f, queue: q}]
"""
OTHER_FILES = {  # files next to manifests that are not manifests
    "contracts/f.json": '{"type": "array"}',
    "contracts/f.yaml": "type: array\n",
    "data/rows.yaml": "- {version: 1, workflow: f}\n",
    "rows.json": "[1]",
    "prod.vars.yaml": "day: 2026-01-01\n",
    "production.yaml": "day: 2026-01-01\n",
    "manifest.v1.schema.json": (ROOT / "schemas" / "manifest.v1.schema.json").read_text(),
}


def run(*words: object, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], cwd=cwd, check=check, capture_output=True, text=True)


def test_wheel_works_outside_the_source_tree(tmp_path: Path, sqlite_url: str) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env", cwd=tmp_path)
    pip = (sys.executable, "-m", "pip", "--python", tmp_path / "env/bin/python")
    run(*pip, "install", "--quiet", "--no-compile", wheel, cwd=tmp_path)
    tool = tmp_path / "env/bin/dbos-manifest"
    for name in ("manifest", "lockfile"):
        published = (ROOT / "schemas" / f"{name}.v1.schema.json").read_text(encoding="utf-8")
        assert run(tool, "schema", name, cwd=tmp_path).stdout == published
    (tmp_path / "jobs.yaml").write_text(MANIFEST)
    url = ("--database-url", sqlite_url)
    for words in (
        ("validate", "jobs.yaml"),
        ("expand", "jobs.yaml"),
        ("plan", "jobs.yaml", *url),
        ("apply", "jobs.yaml", *url),
        ("status", "jobs.yaml", "-o", "html=status.html", *url),
        ("lock", "check", "jobs.yaml"),
        ("lock", "verify", "jobs.yaml", *url),
        ("lock", "rebuild", "jobs.yaml", *url),
        ("lock", "rebind", "jobs.yaml", *url),
        ("lock", "prune", "jobs.yaml"),
        ("apply", "jobs.yaml", "--locked", *url),
    ):
        run(tool, *words, cwd=tmp_path)


def test_hooks_run_under_pre_commit(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    shutil.copytree(ROOT, tool, ignore=shutil.ignore_patterns(".git", ".venv", ".*_cache", "dist", "build"))
    commit = (
        "git",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "commit",
        "-qm",
        "x",
        "--no-verify",
    )
    work = tmp_path / "work"
    (work / "manifests").mkdir(parents=True)
    for folder in (tool, work):
        run("git", "init", "-q", cwd=folder)
    run("git", "add", "-A", cwd=tool)
    run(*commit, cwd=tool)
    revision = run("git", "rev-parse", "HEAD", cwd=tool).stdout.strip()
    (work / ".pre-commit-config.yaml").write_text(
        f"repos: [{{repo: {tool}, rev: {revision}, hooks: [{{id: dbos-manifest-validate}}]}}]\n"
    )
    manifest = work / "manifests" / "jobs.yaml"
    manifest.write_text(MANIFEST)
    for name, content in OTHER_FILES.items():
        (work / "manifests" / name).parent.mkdir(exist_ok=True)
        (work / "manifests" / name).write_text(content)
    run("git", "add", "-A", cwd=work)
    hook = (sys.executable, "-m", "pre_commit", "run", "--all-files")
    assert run(*hook, cwd=work).returncode == 0
    manifest.write_text(manifest.read_text().replace("queue", "queeu"))
    failed = run(*hook, cwd=work, check=False)
    assert failed.returncode == 1
    assert "did you mean `queue`?" in failed.stdout
