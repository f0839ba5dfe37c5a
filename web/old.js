/* For browsers without modules, which these pages are made of. */
(function () {
	var words = 'This page needs a browser of 2020 or later. Streams do not: ' +
		'spillway.js reads them with any since Internet Explorer 10, and ' +
		'/stream/CHANNEL?format=html needs no scripts at all.';
	var p = document.createElement('p');

	p.setAttribute('role', 'alert');
	p.appendChild(document.createTextNode(words));
	document.body.insertBefore(p, document.body.firstChild);
}());
