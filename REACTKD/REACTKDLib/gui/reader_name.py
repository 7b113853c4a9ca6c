"""The reader's name: asked once, stored in the application's settings."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from REACTKDLib.core.review.readers import LONGEST, UNNAMED, reader_name

_NAME = "REACTKD/ReaderName"


def kept_name() -> str:
    """Return the stored name, `UNNAMED` if there is none."""
    return reader_name(str(slicer.util.settingsValue(_NAME, "") or ""))


def name_asked_once() -> str:
    """Return the name; ask for it if this was never done. The name is optional."""
    return kept_name() if qt.QSettings().contains(_NAME) else ask_name()


def ask_name() -> str:
    """Ask for a name, store it and return it; the former one if the question is canceled."""
    dialog = qt.QInputDialog(slicer.util.mainWindow())
    dialog.objectName = "readerNameDialog"
    dialog.setWindowTitle(_("Who reads?"))
    dialog.setLabelText(
        _(
            "Your grades, marks and corrected masks are kept under this name, apart from those of other readers; it "
            "may be a pseudonym of at most {length} letters, and may stay empty."
        ).format(length=LONGEST)
    )
    dialog.setTextValue(kept_name())
    label = dialog.findChild(qt.QLabel)
    if label is not None:
        label.wordWrap = True
    given = bool(dialog.exec_())
    name = reader_name(dialog.textValue()) if given else kept_name()
    dialog.deleteLater()
    qt.QSettings().setValue(_NAME, name if name != UNNAMED else "")
    return name
