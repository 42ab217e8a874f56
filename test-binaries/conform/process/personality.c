/* personality(2): the default, the query, ADDR_NO_RANDOMIZE kept; umask(2) of a new process. */
#include "../tst.h"

#include <sys/personality.h>

int main(void)
{
	CHECK_EQ(personality(0xffffffff), 0);
	CHECK_EQ(personality(ADDR_NO_RANDOMIZE), 0);
	CHECK_EQ(personality(0xffffffff), ADDR_NO_RANDOMIZE);
	CHECK_EQ(personality(0), ADDR_NO_RANDOMIZE);
	CHECK_EQ(umask(0), 022);
	CHECK_EQ(umask(022), 0);
	return tst_done();
}
