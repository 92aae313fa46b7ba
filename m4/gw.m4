# SPDX-License-Identifier: MIT
# GW_REQUIRE(NAME, MODULE, PACKAGE): NAME_CFLAGS and NAME_LIBS of a library, from pkg-config.
# Warnings in other people's headers are not ours: -I becomes -isystem.
# What is missing is collected, so that GW_REQUIRE_DONE can name all of it at once.
AC_DEFUN([GW_REQUIRE], [
	PKG_CHECK_MODULES([$1], [$2], [
		$1_CFLAGS=`AS_ECHO(["$$1_CFLAGS"]) | $SED 's/-I/-isystem /g'`
	], [
		gw_missing="$gw_missing
    $2"
		gw_packages="$gw_packages $3"
	])
])

AC_DEFUN([GW_REQUIRE_DONE], [
	AS_IF([test -z "$PKG_CONFIG"], [gw_packages="pkg-config$gw_packages"])
	AS_IF([test -n "$gw_missing"], [
		AC_MSG_ERROR([these libraries are missing:$gw_missing
On Debian 12 this command installs them (as root):
    apt-get install -y $gw_packages])
	])
])

# GW_C_FLAGS(VARIABLE, FLAGS): appends the flags that the compiler takes.
AC_DEFUN([GW_C_FLAGS], [
	gw_taken=
	for gw_flag in m4_normalize([$2]); do
		AC_MSG_CHECKING([whether $CC takes $gw_flag])
		gw_saved_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -Werror$gw_taken $gw_flag"
		AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
			[gw_taken="$gw_taken $gw_flag"
			AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])])
		CFLAGS=$gw_saved_CFLAGS
	done
	$1="$$1$gw_taken"
	AC_SUBST([$1])
])

# GW_LINK_FLAGS(VARIABLE, FLAGS): the same for the linker.
AC_DEFUN([GW_LINK_FLAGS], [
	gw_taken=
	for gw_flag in m4_normalize([$2]); do
		AC_MSG_CHECKING([whether $CC links with $gw_flag])
		gw_saved_CFLAGS=$CFLAGS
		gw_saved_LDFLAGS=$LDFLAGS
		CFLAGS="$CFLAGS -fPIE -Werror"
		LDFLAGS="$LDFLAGS $gw_flag"
		AC_LINK_IFELSE([AC_LANG_PROGRAM()],
			[gw_taken="$gw_taken $gw_flag"
			AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no])])
		CFLAGS=$gw_saved_CFLAGS
		LDFLAGS=$gw_saved_LDFLAGS
	done
	$1="$$1$gw_taken"
	AC_SUBST([$1])
])

# GW_FORTIFY: the highest level that this C library has; none without optimisation.
AC_DEFUN([GW_FORTIFY], [
	AC_MSG_CHECKING([for _FORTIFY_SOURCE])
	gw_fortify=no
	for gw_level in 3 2; do
		AS_IF([test $gw_fortify = no], [
			gw_saved_CFLAGS=$CFLAGS
			CFLAGS="$CFLAGS -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$gw_level"
			AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]])],
				[gw_fortify=$gw_level])
			CFLAGS=$gw_saved_CFLAGS
		])
	done
	AC_MSG_RESULT([$gw_fortify])
	AS_IF([test $gw_fortify != no],
		[GW_HARDENING="$GW_HARDENING -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$gw_fortify"])
])

# GW_SANITIZE(FLAGS): builds with them or not at all.
AC_DEFUN([GW_SANITIZE], [
	AC_MSG_CHECKING([whether $CC can do $1])
	gw_saved_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS $1"
	AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])], [
		AC_MSG_RESULT([no])
		AC_MSG_ERROR([$CC has no sanitizers here (for clang: apt-get install libclang-rt-dev)])
	])
	CFLAGS=$gw_saved_CFLAGS
	GW_SANITIZERS="-U_FORTIFY_SOURCE $1 -fno-omit-frame-pointer"
	AC_SUBST([GW_SANITIZERS])
])

# GW_FUZZER: gw_fuzzer is yes where $CC has libFuzzer; then everything is built so that it sees
# where it has been.
AC_DEFUN([GW_FUZZER], [
	AC_MSG_CHECKING([whether $CC has libFuzzer])
	gw_fuzzer=no
	gw_saved_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS -fsanitize=fuzzer"
	AC_LINK_IFELSE([AC_LANG_SOURCE([[
		int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size);
		int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size)
		{
			return size > 0 && data[0] == 1;
		}]])], [gw_fuzzer=yes])
	CFLAGS=$gw_saved_CFLAGS
	AC_MSG_RESULT([$gw_fuzzer])
	AS_IF([test $gw_fuzzer = yes], [GW_SANITIZERS="$GW_SANITIZERS -fsanitize=fuzzer-no-link"])
])
