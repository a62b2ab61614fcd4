#pragma once

/// SQLSTATE codes that Forebay itself answers with (manual, appendix A).
namespace forebay::pg::sqlstate {

inline constexpr char kWarning[] = "01000";
inline constexpr char kConnectionException[] = "08000";
inline constexpr char kConnectionFailure[] = "08006";
inline constexpr char kProtocolViolation[] = "08P01";
inline constexpr char kFeatureNotSupported[] = "0A000";
inline constexpr char kInvalidAuthorization[] = "28000";
inline constexpr char kInvalidPassword[] = "28P01";
inline constexpr char kInvalidTransactionState[] = "25000";
inline constexpr char kInvalidStatementName[] = "26000";
inline constexpr char kUndefinedDatabase[] = "3D000";
inline constexpr char kInFailedTransaction[] = "25P02";
inline constexpr char kIdleInTransactionTimeout[] = "25P03";
inline constexpr char kTransactionTimeout[] = "25P04";
inline constexpr char kSerializationFailure[] = "40001";
inline constexpr char kStatementCompletionUnknown[] = "40003";
inline constexpr char kTransactionResolutionUnknown[] = "08007";
inline constexpr char kSyntaxError[] = "42601";
inline constexpr char kDuplicatePreparedStatement[] = "42P05";
inline constexpr char kReservedName[] = "42939";
inline constexpr char kInsufficientPrivilege[] = "42501";
inline constexpr char kInsufficientResources[] = "53000";
inline constexpr char kTooManyConnections[] = "53300";
inline constexpr char kProgramLimitExceeded[] = "54000";
inline constexpr char kConfigurationLimitExceeded[] = "53400";
inline constexpr char kQueryCanceled[] = "57014";
inline constexpr char kAdminShutdown[] = "57P01";
inline constexpr char kReadOnlyTransaction[] = "25006";
inline constexpr char kCrashShutdown[] = "57P02";
inline constexpr char kCannotConnectNow[] = "57P03";
inline constexpr char kDatabaseDropped[] = "57P04";
inline constexpr char kIdleSessionTimeout[] = "57P05";
inline constexpr char kConfigFileError[] = "F0000";
inline constexpr char kObjectNotInPrerequisiteState[] = "55000";
inline constexpr char kUndefinedObject[] = "42704";
inline constexpr char kInvalidParameterValue[] = "22023";
inline constexpr char kCannotChangeRuntimeParameter[] = "55P02";
inline constexpr char kInternalError[] = "XX000";

}  // namespace forebay::pg::sqlstate
