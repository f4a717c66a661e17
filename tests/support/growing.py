"""Sources that grow after they were ingested: more clips, and what a folder of shards holds."""

from pathlib import Path

from pipeline.shards.store import ShardStore


def add(folder: Path, **contents: str) -> None:
    """Clips by name; two underscores stand for a folder."""
    for name, content in contents.items():
        path = folder / f"{name.replace('__', '/')}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def tars(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.tar")}


def keys(out: Path) -> list[str]:
    return ShardStore.open(out).keys
