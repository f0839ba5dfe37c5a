/* In the place of outbox.js: a stream that only reads. */

var halt = nothing, flush = nothing, replied = nothing, age = nothing;
var giveUp = nothing;
