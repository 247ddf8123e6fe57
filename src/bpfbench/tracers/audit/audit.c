// SPDX-License-Identifier: Apache-2.0
/* Reads every record of a tracer's output, and says what is wrong with it; bpfbench's trial/content.py runs it.
 *
 * It is in C because all records are checked, of each trial: half a million lines, or 1.2 GB of payloads in
 * hexadecimal, of which Python would read a tenth in the second that all of bpfbench's own work beside a trial may
 * take. And where the disk cannot hold the output it has to keep up with the fastest tracer, on CPUs that it shares
 * with it.
 *
 * Nothing of what it reads is trusted: it may be torn, or anything.
 */
#include <stdio.h>
#include <string.h>

#include "follow.h"
#include "message.h"
#include "options.h"
#include "report.h"

int main(int argc, char **argv)
{
	static struct options options;
	static struct scan scan;
	struct followed followed = {0};

	parse_options(argc, argv, &options);
	record_init();
	checks_begin(&scan.checks, &options);
	if (options.follow)
		followed = follow(&scan);
	else if (output_open(&scan.output, options.output))
		scan_on(&scan);
	else
		give_up(EXIT_IO, "%s: No such file or directory", options.output);
	scan_end(&scan);
	report(&scan, followed.peak_bytes, followed.released_bytes);
	if (fflush(stdout) || ferror(stdout))
		give_up(EXIT_IO, "the result cannot be written");
	return 0;
}
