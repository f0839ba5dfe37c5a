"""Panes of a page in a browser, each of which the fault lab hinders by name."""

import test_third_party
from gateway import query


class Panes(test_third_party.Browsers):
    panes = ()
    lab = "t-"  # what the panes' names in the lab begin with

    def fault(self, fault, **params):
        for pane in self.panes:
            status, _, body = self.gateway.request(
                "PUT", f"/spillway/lab/faults/{self.lab}{pane}" +
                query(dict(params, fault=fault)))
            self.assertEqual(status, 204, body)

    def requests(self):
        panes = self.gateway.get(f"/spillway/lab/panes/{self.lab}")[1]["panes"]
        return {p["name"]: p["requests"] for p in panes}

    def all_ask_again(self, act):
        """Do that, and wait until each pane has made a request since."""
        before = self.requests()
        act()
        self.gateway.until(lambda: all(
            n > before[pane] for pane, n in self.requests().items()),
            "a request of each pane")
