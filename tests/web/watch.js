/* Until it holds: whatever changes in the page, look again. */
export function until(true_) {
	return new Promise((done) => {
		const look = () => {
			if (!true_())
				return;
			observer.disconnect();
			done();
		};
		const observer = new MutationObserver(look);

		observer.observe(document, { subtree: true, childList: true,
			attributes: true, characterData: true });
		look();
	});
}
