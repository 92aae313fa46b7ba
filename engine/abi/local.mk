# SPDX-License-Identifier: MIT
# The contract of plugins; installed.
sdk_HEADERS += %D%/gw_plugin.h
