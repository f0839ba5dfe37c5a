/*
 * A browser has six connections to a server for requests, of all its tabs
 * together. Pages that hold two of them would leave none for others, which
 * could not even be loaded: so two pages have a place, and who is looked at
 * takes that of another one.
 */
const PLACES = ["spillway-place-1", "spillway-place-2"];

export class Place {
	/* `changed` is called when it is found, and when it is lost. */
	constructor(changed) {
		this.changed = changed;
		/* Pages that came by plain HTTP from afar know no locks. */
		this.found = navigator.locks === undefined;
		this.queued = false;
		if (this.found)
			return;
		this.seek(!document.hidden);
		document.addEventListener("visibilitychange", () =>
			this.seek(!document.hidden));
	}

	async seek(urgent) {
		for (const name of PLACES)
			if (this.found || await this.take(name, { ifAvailable: true }))
				return;
		if (urgent) {
			this.take(PLACES[0], { steal: true });
		} else if (!this.queued) {
			this.queued = true;
			await this.take(PLACES[1], {});
			this.queued = false;
		}
	}

	/* Was there one? It is kept until the page ends, or it is stolen. */
	take(name, options) {
		return new Promise((tell) => {
			navigator.locks.request(name, options, (lock) => {
				tell(lock !== null);
				if (lock === null || this.found)
					return null;
				this.found = true;
				this.changed();
				return new Promise(() => {});
			}).catch(() => {
				/* Not back at once: two that are seen would never rest. */
				this.found = false;
				this.changed();
				this.seek(false);
			});
		});
	}
}
