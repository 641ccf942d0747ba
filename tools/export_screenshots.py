"""Take the pictures of the Export page in docs/images, from the real window.

    xvfb-run -a -s "-screen 0 1400x900x24" python tools/export_screenshots.py RUN

RUN is the folder of a training or of a model package. Settings and models of the
user are not touched.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from screenshots import FOLDER, SIZE, picture, wait, work

AUTHOR = {
    "name": "Ada Lovelace",
    "affiliation": "Analytical Engine Institute",
    "orcid": "0000-0002-1825-0097",
    "github_user": "ada",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_IM2IM_HOME"] = home
        os.environ["NAPARI_CONFIG"] = str(Path(home) / "napari.yaml")
        take_all(arguments.model.absolute(), arguments.out, Path(home))


def take_all(model: Path, folder: Path, home: Path) -> None:
    """Take the page as it opens, with an error, filled in, and checked."""
    import napari
    from qtpy.QtWidgets import QScrollArea

    from napari_im2im.docks.export.widget import open_export
    from napari_im2im.docks.opening import open_sample

    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    open_sample(viewer)
    page = open_export(viewer, model)
    bar = page.findChild(QScrollArea).verticalScrollBar()
    wait(lambda: bool(page.output.text()))
    os.chdir(home)
    page.output.setText("phase-to-fluorescence.bioimageio.zip")
    fields = page.form.fields
    fields["name"].set_value("Neurons: from phase")
    fields["authors"].set_value([{**AUTHOR, "orcid": "0000-0002-1825-0098"}])
    work(1)
    picture(viewer, folder / "export-error")
    fields["name"].set_value("Neurons from phase contrast")
    fields["authors"].set_value([AUTHOR])
    work(1)
    picture(viewer, folder / "export-describe")
    bar.setValue(bar.maximum())
    work(1)
    picture(viewer, folder / "export-data")
    page.run()
    wait(lambda: not page.running)
    work(1)
    bar.setValue(page.checks.y() - 8)
    picture(viewer, folder / "export-checked")
    viewer.close()


if __name__ == "__main__":
    main()
