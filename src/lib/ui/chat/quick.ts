/** The reactions offered first. */
export const quickReactions = ['👍', '❤️', '😂', '😮', '😢', '🙏'] as const;
