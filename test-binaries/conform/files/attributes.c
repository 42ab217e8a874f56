/* Extended attributes where there are none: getxattr(2), listxattr(2), removexattr(2) and their errors, as ls and cp ask. */
#include "../tst.h"

#include <sys/xattr.h>

int main(void)
{
	char value[64];
	int fd;

	tst_file(tst_path("attributes"), "x");
	fd = MUST(open(tst_path("attributes"), O_RDWR));
	CHECK(getxattr(tst_path("attributes"), "user.missing", value, 64) == -1 && (errno == ENODATA || errno == EOPNOTSUPP),
	      "an attribute that is not there");
	CHECK(lgetxattr(tst_path("attributes"), "security.selinux", value, 64) == -1 && (errno == ENODATA || errno == EOPNOTSUPP),
	      "no label");
	CHECK(fgetxattr(fd, "system.posix_acl_access", value, 64) == -1 && (errno == ENODATA || errno == EOPNOTSUPP), "no list of access");
	CHECK(listxattr(tst_path("attributes"), value, 64) >= 0 || errno == EOPNOTSUPP, "the list of attributes");
	CHECK_ERR(getxattr(tst_path("missing"), "user.x", value, 64), ENOENT);
	CHECK_ERR(fgetxattr(-1, "user.x", value, 64), EBADF);
	CHECK_ERR(listxattr(tst_path("missing"), value, 64), ENOENT);
	MUST(unlink(tst_path("attributes")));
	return tst_done();
}
