"""A browser that is old: WebKit of 2016, as Debian has it for Qt.

    webkit.py URL

shows the page without a window until it is ended. It knows no fetch, no
modules, no AbortController: what a client does without them is seen here.
"""

import os
import sys

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ.setdefault("XDG_RUNTIME_DIR", os.environ["HOME"])

# The platform has to be known by then.
from PyQt5.QtCore import QUrl
from PyQt5.QtWebKitWidgets import QWebView
from PyQt5.QtWidgets import QApplication

application = QApplication(sys.argv[:1])
view = QWebView()
view.load(QUrl(sys.argv[1]))
view.show()
application.exec_()
