"""`sparse3d scenes list` and `sparse3d scenes get`."""

from pathlib import Path

import tyro


def list_all() -> None:
    """List the sample scenes, and the data sets of the literature with their protocols, licences and where they are from."""
    from sparse3d.bench.datasets import DATASETS
    from sparse3d.io.dataset_manifests import list_datasets, load_dataset_manifest
    from sparse3d.io.scenes import list_scenes, load_scene

    print("Sample scenes (nothing is downloaded)")
    for name in list_scenes():
        scene = load_scene(name)
        print(f"  {name:16} {scene.title}; {scene.views} views; {scene.licence}")
    print("\nData sets (protocols: docs/protocols.md)")
    for name in list_datasets():
        manifest = load_dataset_manifest(name)
        loader = DATASETS.get(name)
        how = "by hand" if not manifest.archives else "fetched, some of it by hand" if manifest.by_hand else "fetched"
        print(f"  {name:16} {manifest.title}")
        print(f"  {'':16} {how}; {manifest.homepage}")
        print(f"  {'':16} licence: {manifest.licence}")
        print(f"  {'':16} protocols: {', '.join(loader.protocols) if loader else 'none'}")


def get(name: tyro.conf.Positional[str], *, out: Path) -> None:
    """Write a sample scene out as a folder of photos, or download a data set and unpack it.

    A download that was interrupted goes on where it stopped; archives that were unpacked before are not fetched again.

    Args:
        name: of a sample scene or a data set; `sparse3d scenes list` shows them.
        out: the folder to write to.
    """
    from sparse3d.core.errors import InputError
    from sparse3d.io.dataset_manifests import fetch_dataset, list_datasets, load_dataset_manifest
    from sparse3d.io.scenes import list_scenes, materialise_scene

    if name in list_scenes():
        print(f"{name}: {materialise_scene(name, out)}")
    elif name in list_datasets():
        with _progress() as progress:
            task = progress.add_task("", total=None, visible=False)

            def show(done: int, total: int | None) -> None:
                progress.update(task, completed=done, total=total, visible=True)

            def say(message: str) -> None:
                progress.update(task, visible=False)
                progress.console.print(message, markup=False)

            fetch_dataset(load_dataset_manifest(name), out, say=say, on_progress=show)
    else:
        known = f"sample scenes are {', '.join(list_scenes())}; data sets are {', '.join(list_datasets())}"
        raise InputError(f"there is no scene or data set {name!r}: {known}")


def _progress():
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    console = Console(highlight=False, soft_wrap=True)
    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


app = tyro.extras.SubcommandApp()
app.command(name="list")(list_all)
app.command(get)
